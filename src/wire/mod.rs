//! The wire: HTTP heads, WebSocket frames, JSON envelopes. Pure functions over bytes.
