//! The blocking client that the command line and the node host share.
