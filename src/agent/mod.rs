//! One step of a run: a provider request or a local tool.
