//! One connection as a state machine: bytes in, items out.
