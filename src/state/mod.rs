//! What must survive: tables in memory, changed only by `apply`.
