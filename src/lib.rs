//! profile-server
