//! The comparison of stored names, also in constant expressions.

/// Returns whether `stored` is the present name `name` or one of the earlier names `was`.
pub(crate) fn name_matches(stored: &str, name: &str, was: &[&str]) -> bool {
    stored == name || was.contains(&stored)
}

/// Returns whether one of the lists contains `name`.
pub const fn name_in(name: &str, lists: &[&[&str]]) -> bool {
    let mut list = 0;
    while list < lists.len() {
        let mut item = 0;
        while item < lists[list].len() {
            if same(name, lists[list][item]) {
                return true;
            }
            item += 1;
        }
        list += 1;
    }
    false
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}
