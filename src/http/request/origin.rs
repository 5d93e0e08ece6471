//! The origin that a browser's page has (RFC 6454), which live sockets are bound to: the same-origin policy does not
//! hold a page off a WebSocket, so the server must look for itself (RFC 6455, section 10.2).

use std::net::SocketAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};

use crate::http::problem::{Code, Problem};
use crate::http::transport;

/// The origin of the page that asks, which must be the server's own or one of `allowed`; `None` where no page asks.
///
/// # Errors
/// A page from elsewhere.
pub(crate) fn check(request: &HttpRequest, allowed: &[String]) -> Result<Option<String>, Problem> {
    let refused =
        || Problem::new(Code::Forbidden, "pages of this origin may not: `http.cors_origins` lists those that may");
    let origin = given(request.headers()).map_err(|Unreadable| refused())?;
    let own = || own(transport::listen_address(request));
    match origin {
        Some(origin) if !allowed.iter().any(|known| known == origin) && !own().iter().any(|own| own == origin) => {
            Err(refused())
        }
        origin => Ok(origin.map(str::to_owned)),
    }
}

/// Several origins, or one that is no text.
struct Unreadable;

fn given(headers: &HeaderMap) -> Result<Option<&str>, Unreadable> {
    let mut origins = headers.get_all(header::ORIGIN);
    let first = origins.next().map(|origin| origin.to_str().map_err(|_| Unreadable)).transpose()?;
    if origins.next().is_some() { Err(Unreadable) } else { Ok(first) }
}

/// The origins of pages that come from `listen` itself. Under another name it is known by `http.cors_origins` alone: the
/// header `Host` is the client's word.
fn own(listen: SocketAddr) -> Vec<String> {
    let of = |host: String| match listen.port() {
        80 => format!("http://{host}"),
        port => format!("http://{host}:{port}"),
    };
    let address = match listen {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    };
    let local = listen.ip().is_loopback().then(|| "localhost".to_owned());
    [Some(address), local].into_iter().flatten().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_own_origins_are_written_as_browsers_do() {
        let own = |listen: &str| own(listen.parse().expect("an address"));
        assert_eq!(own("127.0.0.1:8080"), ["http://127.0.0.1:8080", "http://localhost:8080"]);
        assert_eq!(own("[::1]:80"), ["http://[::1]", "http://localhost"]);
        assert_eq!(own("192.0.2.7:8080"), ["http://192.0.2.7:8080"]);
    }
}
