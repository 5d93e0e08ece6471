//! Checks the origin of the page that opens a live socket (RFC 6454). The same-origin policy of browsers does not apply
//! to WebSockets, so the server has to check (RFC 6455, section 10.2).

use std::net::SocketAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};

use crate::http::problem::{Code, Problem};
use crate::http::transport;

/// Returns the origin of the page that sends the request; `None` if no page does.
///
/// # Errors
/// The origin is neither the server's own nor one of `allowed`.
pub(crate) fn check(request: &HttpRequest, allowed: &[String]) -> Result<Option<String>, Problem> {
    let refused =
        || Problem::new(Code::Forbidden, "pages of this origin are not allowed: add the origin to `http.cors_origins`");
    let origin = requested(request.headers()).map_err(|Unreadable| refused())?;
    let own = || own_origins(transport::listen_address(request));
    match origin {
        Some(origin) if !allowed.iter().any(|known| known == origin) && !own().iter().any(|own| own == origin) => {
            Err(refused())
        }
        origin => Ok(origin.map(str::to_owned)),
    }
}

/// The request has several origins, or one that is not text.
struct Unreadable;

fn requested(headers: &HeaderMap) -> Result<Option<&str>, Unreadable> {
    let mut origins = headers.get_all(header::ORIGIN);
    let first = origins.next().map(|origin| origin.to_str().map_err(|_| Unreadable)).transpose()?;
    if origins.next().is_some() { Err(Unreadable) } else { Ok(first) }
}

/// Returns the origins of pages served at the address `listen`. Other names of the server must be configured in
/// `http.cors_origins`, because a client can put any name into the header `Host`.
fn own_origins(listen: SocketAddr) -> Vec<String> {
    let origin = |host: String| match listen.port() {
        80 => format!("http://{host}"),
        port => format!("http://{host}:{port}"),
    };
    let address = match listen {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    };
    let local = listen.ip().is_loopback().then(|| "localhost".to_owned());
    [Some(address), local].into_iter().flatten().map(origin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_origins_are_written_as_browsers_do() {
        let own = |listen: &str| own_origins(listen.parse().expect("an address"));
        assert_eq!(own("127.0.0.1:8080"), ["http://127.0.0.1:8080", "http://localhost:8080"]);
        assert_eq!(own("[::1]:80"), ["http://[::1]", "http://localhost"]);
        assert_eq!(own("192.0.2.7:8080"), ["http://192.0.2.7:8080"]);
    }
}
