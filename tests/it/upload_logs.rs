//! Logs on request.
