//! The configuration: a JSON5 file that people edit.
