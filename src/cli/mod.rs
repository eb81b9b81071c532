//! The command line: what was typed, and printing.
