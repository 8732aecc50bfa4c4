//! COMMIT errors and panics, injected into the writer.
#[derive(Default)]
pub(crate) struct Faults {}
impl Faults {
    pub(super) fn panic_if_asked(&self) {}
    pub(super) fn commit(&self, commit: impl FnOnce() -> rusqlite::Result<usize>) -> rusqlite::Result<usize> {
        commit()
    }
}
