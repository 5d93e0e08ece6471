//! Serves a bare actix handler in a process of its own: nothing but actix-web, with as many threads as the server.

use actix_web::web::ServiceConfig;
use actix_web::{App, HttpServer};
use anyhow::{Context, Result};
use std::io::Write;

/// Serves on a free port until the process is killed. Prints the ready line with the address on stdout.
///
/// # Errors
/// No port could be bound, or stdout is closed.
pub(crate) fn serve(workers: usize, routes: impl Fn(&mut ServiceConfig) + Clone + Send + 'static) -> Result<()> {
    actix_web::rt::System::new().block_on(async move {
        let app = move || App::new().configure(routes.clone());
        let server = HttpServer::new(app).workers(workers).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).context("could not bind a port")?;
        let listen = server.addrs().first().copied().context("no address was bound")?;
        let mut stdout = std::io::stdout();
        writeln!(stdout, r#"{{"event":"ready","listen":"{listen}"}}"#).context("could not write the ready line")?;
        stdout.flush().context("could not write the ready line")?;
        server.run().await.context("the bare handler failed")
    })
}
