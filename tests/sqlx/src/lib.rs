//! An event in a transaction of sqlx. The tests are in `tests`.
