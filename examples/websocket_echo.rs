//! An echo over the server's own WebSocket layer, for conformance suites: prints its address and serves until killed.

use std::io::Write;

use actix_web::{App, HttpServer, web};

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let server = HttpServer::new(|| App::new().route("/", web::get().to(profile_server::websocket_echo)))
        .workers(1)
        .bind(("127.0.0.1", 0))?;
    writeln!(std::io::stdout(), "{}", server.addrs()[0])?;
    server.run().await
}
