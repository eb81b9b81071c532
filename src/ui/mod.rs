//! The static page, embedded in the binary.
