//! The checksums of rows.
//!
//! A checksum has only values that a writer knows without a read: not the predecessor of a history line, and not the number
//! of the saga, which a rename can change.

use saga_core::store::InstanceChange;
use saga_stored::checksum::{Checksum, joined};
use saga_stored::instance as body;

/// Returns the checksum of an instance.
pub(crate) fn instance(id: i64, change: &InstanceChange, body: &str) -> i64 {
    let data = body::is_large(&change.data).then(|| change.data.as_str());
    stored_instance(
        id,
        change.address.key.stored(),
        body::status_number(change.status),
        change.seq.cast_signed(),
        body,
        data,
    )
}

/// Returns the checksum of an instance from its columns.
pub(crate) fn stored_instance(
    id: i64,
    key: &str,
    status: i16,
    seq: i64,
    body: &str,
    data: Option<&str>,
) -> i64 {
    Checksum::new().number(id).text(key).number(status.into()).number(seq).text(body).maybe(data).end()
}

/// Returns the checksum of a history line.
pub(crate) fn line(id: i64, instance: i64, body: &str) -> i64 {
    Checksum::new().number(id).number(instance).text(body).end()
}

/// Returns the checksum of a pending item. One half is for the progress, so a change of the progress needs no read of the
/// item.
pub(crate) fn item(instance: i64, name: &str, body: &str, progress: Option<&str>) -> i64 {
    let of_body = Checksum::new().number(instance).text(name).text(body).end();
    joined(of_body, self::progress(instance, name, progress))
}

/// Returns the half of the checksum for the progress.
pub(crate) fn progress(instance: i64, name: &str, progress: Option<&str>) -> i64 {
    joined(0, Checksum::new().number(instance).text(name).maybe(progress).end())
}
