//! A queue of outgoing bytes of one peer, written once a turn.
