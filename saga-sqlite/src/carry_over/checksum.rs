//! The checksum of rows up to schema 4: XXH3-64 over the columns.

use twox_hash::XxHash3_64;

/// Collects columns unambiguously. Each column has its length in front. An absent column differs from an empty column.
///
/// All columns are collected and then hashed at once. Rows are short, and the one-shot hash is faster for short input.
pub(super) struct Checksum(Vec<u8>);

impl Checksum {
    pub(super) fn new() -> Self {
        Self(Vec::with_capacity(512))
    }

    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&(bytes.len() as u64 + 1).to_le_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(super) fn maybe(mut self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(text),
            None => {
                self.0.extend_from_slice(&0_u64.to_le_bytes());
                self
            }
        }
    }

    pub(super) fn number(mut self, number: i64) -> Self {
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub(super) fn end(self) -> i64 {
        XxHash3_64::oneshot(&self.0).cast_signed()
    }
}
