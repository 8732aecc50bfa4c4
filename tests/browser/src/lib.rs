//! The dashboard in a real browser. The tests are in `tests`, and this library is empty.
