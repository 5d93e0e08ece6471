//! profile-server
fn main() {}
