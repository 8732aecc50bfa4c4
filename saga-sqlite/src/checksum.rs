//! A sum over the columns of a row: XXH3-64, stored as a signed integer. Part of the stored format.

use twox_hash::XxHash3_64;

/// Collects columns unambiguously: each with its length in front, and an absent one told from an empty one.
///
/// The columns are gathered and summed at once, because rows are short and the one-shot hash is much faster than the
/// streaming one for short input.
pub(crate) struct Checksum(Vec<u8>);

impl Checksum {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(512))
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&(bytes.len() as u64 + 1).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn maybe(mut self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(text),
            None => {
                self.0.extend_from_slice(&0_u64.to_le_bytes());
                self
            }
        }
    }

    pub(crate) fn number(mut self, number: i64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(crate) fn end(self) -> i64 {
        XxHash3_64::oneshot(&self.0).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_do_not_run_into_each_other() {
        let sum =
            |columns: &[Option<&str>]| columns.iter().fold(Checksum::new(), |sum, c| sum.maybe(*c)).end();
        let sums = [sum(&[Some("ab"), None]), sum(&[Some("a"), Some("b")]), sum(&[Some("ab"), Some("")])];
        assert!(sums[0] != sums[1] && sums[1] != sums[2] && sums[0] != sums[2]);
    }

    #[test]
    fn the_sum_is_a_published_constant() {
        // Written down, so that a changed hash or layout cannot pass unnoticed.
        assert_eq!(
            Checksum::new().text("order").maybe(None).number(7).end(),
            XxHash3_64::oneshot(b"\x06\0\0\0\0\0\0\0order\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0").cast_signed()
        );
    }
}
