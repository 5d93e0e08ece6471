//! Exchanges: a request with its answer, as the connection sees them.
//!
//! [`Exchanges`] is a layer between the dispatcher and the application. It tells the connection when a request begins,
//! when its answer is complete, and when the handler waits for more of the body. It also keeps the body until the
//! answer ends: the dispatcher closes a connection whose body is kept and was not read to its end, but waits without
//! end for the rest of a chunked body that was dropped.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::error::Error as StdError;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use actix_http::error::PayloadError;
use actix_http::{ConnectionType, Payload, Request, Response};
use actix_service::{Service, ServiceFactory};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::http::Version;
use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::LocalBoxFuture;

use super::handle::ConnectionHandle;

/// Creates [`Exchanges`] around an application.
pub(super) struct ExchangesFactory<F>(pub(super) F);

impl<F> ServiceFactory<Request> for ExchangesFactory<F>
where
    F: ServiceFactory<
            Request,
            Config = AppConfig,
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
            InitError = (),
        > + 'static,
    F::Service: 'static,
    <F::Service as Service<Request>>::Future: Unpin,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Config = ();
    type Service = Exchanges<F::Service>;
    type InitError = ();
    type Future = LocalBoxFuture<'static, Result<Self::Service, ()>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let application = self.0.new_service(AppConfig::default());
        Box::pin(async move { Ok(Exchanges(application.await?)) })
    }
}

/// The application of one worker, which reports its exchanges to the connections.
pub(super) struct Exchanges<S>(S);

impl<S> Service<Request> for Exchanges<S>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = actix_web::Error>,
    S::Future: Unpin,
{
    type Response = Response<AnswerBody>;
    type Error = Infallible;
    type Future = AnswerFuture<S::Future>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Applications are always ready.
        self.0.poll_ready(context).map(|_| Ok(()))
    }

    fn call(&self, mut request: Request) -> Self::Future {
        let connection = request.conn_data::<ConnectionHandle>().cloned();
        let is_old = request.version() < Version::HTTP_11;
        if let Some(connection) = &connection {
            connection.0.begin_exchange();
        }
        let body = SharedBody::take_from(&mut request, connection.clone());
        let exchange = Exchange { connection, body };
        AnswerFuture { is_old, exchange: Some(exchange), answer: self.0.call(request) }
    }
}

/// A request that is being answered. Dropping it ends the exchange.
struct Exchange {
    connection: Option<ConnectionHandle>,
    body: Option<SharedBody>,
}

impl Exchange {
    /// Notes that the dispatcher has the whole answer. If the request's body was not read to its end, the connection
    /// has to end.
    fn complete(&self) {
        if let (Some(connection), Some(body)) = (&self.connection, &self.body)
            && !body.is_finished()
        {
            connection.0.is_body_unfinished.set(true);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.0.body_failed.set(self.body.as_ref().is_some_and(SharedBody::has_failed));
            connection.0.end_exchange();
        }
    }
}

/// Waits for the answer of the application.
pub(super) struct AnswerFuture<F> {
    is_old: bool,
    exchange: Option<Exchange>,
    answer: F,
}

impl<F> Future for AnswerFuture<F>
where
    F: Future<Output = Result<ServiceResponse<BoxBody>, actix_web::Error>> + Unpin,
{
    type Output = Result<Response<AnswerBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer: Response<BoxBody> = match ready!(Pin::new(&mut self.answer).poll(context)) {
            Ok(answer) => answer.into(),
            Err(error) => error.error_response().into(),
        };
        let size = answer.body().size();
        if self.is_old && size == BodySize::Stream {
            // A client of HTTP/1.0 does not know chunks (RFC 9112, section 6.1), so the body ends with the connection.
            answer.head_mut().no_chunking(true);
            answer.head_mut().set_connection_type(ConnectionType::Close);
        }
        let exchange = self.exchange.take();
        if let Some(exchange) = &exchange {
            if exchange.body.as_ref().is_some_and(SharedBody::has_failed) {
                answer.head_mut().set_connection_type(ConnectionType::Close);
            }
            if matches!(size, BodySize::None | BodySize::Sized(0)) {
                exchange.complete();
            }
        }
        Poll::Ready(Ok(answer.map_body(|_, body| AnswerBody { body, exchange })))
    }
}

/// The body of an answer. Dropping it ends the exchange.
pub(super) struct AnswerBody {
    body: BoxBody,
    exchange: Option<Exchange>,
}

impl MessageBody for AnswerBody {
    type Error = Box<dyn StdError>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Box<dyn StdError>>>> {
        let piece = ready!(Pin::new(&mut self.body).poll_next(context));
        if let (None, Some(exchange)) = (&piece, &self.exchange) {
            exchange.complete();
        }
        Poll::Ready(piece)
    }
}

/// The body of a request, which the handler reads and the exchange keeps.
#[derive(Clone)]
struct SharedBody(Rc<BodyState>);

struct BodyState {
    connection: Option<ConnectionHandle>,
    payload: RefCell<Payload>,
    has_failed: Cell<bool>,
}

impl SharedBody {
    /// Replaces the body of a request by a shared one; `None` if the request has no body.
    fn take_from(request: &mut Request, connection: Option<ConnectionHandle>) -> Option<Self> {
        let payload = match request.take_payload() {
            Payload::None => return None,
            payload => payload,
        };
        let (payload, has_failed) = (RefCell::new(payload), Cell::new(false));
        let body = Self(Rc::new(BodyState { connection, payload, has_failed }));
        *request.payload() = Payload::Stream { payload: Box::pin(body.clone()) };
        Some(body)
    }

    /// Reads the next piece, and tells the connection whether the handler waits for more.
    fn poll_piece(&self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, PayloadError>>> {
        let piece = Pin::new(&mut *self.0.payload.borrow_mut()).poll_next(context);
        if let Poll::Ready(Some(Err(_))) = piece {
            self.0.has_failed.set(true);
        }
        if let Some(connection) = &self.0.connection {
            match piece {
                Poll::Pending => connection.0.reading.want_body(),
                Poll::Ready(_) => connection.0.reading.want_no_body(),
            }
        }
        piece
    }

    /// Whether the body has been received completely. Discards what the handler did not read.
    fn is_finished(&self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            match self.poll_piece(&mut context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(_)) | None) => return true,
                Poll::Pending => return false,
            }
        }
    }

    /// Whether the body was malformed.
    fn has_failed(&self) -> bool {
        self.0.has_failed.get()
    }
}

impl Stream for SharedBody {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_piece(context)
    }
}
