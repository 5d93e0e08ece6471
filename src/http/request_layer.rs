//! The layer: what happens to every request on its way in and out.
//!
//! It gives the answer its request id, completes a problem with what only the request knows, and counts.
//! It is on the path of every cache hit, so it formats nothing and allocates little.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_service::apply_fn_factory;
use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpRequest, HttpResponse, Resource, web};
use domain::id::UserId;
use futures_util::future::Either;

use super::conditional;
use super::cors::Cors;
use super::problem::{Code, Problem};
use super::request_head;
use super::request_id::{RequestIds, X_REQUEST_ID};
use super::route::{HttpMetrics, Route};

/// How many seconds after a 429 or 503 a caller should try again, where the answer does not say otherwise.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What actix asks of a service that requests go to.
pub(super) trait ResourceFactory:
    ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
{
}

impl<T> ResourceFactory for T where
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
{
}

/// One worker's layer.
#[derive(Clone)]
pub(super) struct RequestLayer(Rc<Inner>);

struct Inner {
    ids: RequestIds,
    metrics: Arc<HttpMetrics>,
    cors: Arc<Cors>,
}

impl RequestLayer {
    pub(super) fn new(start: u64, metrics: Arc<HttpMetrics>, cors: Arc<Cors>) -> Self {
        Self(Rc::new(Inner { ids: RequestIds::new(start), metrics, cors }))
    }

    /// An address behind the layer, which answers `OPTIONS` and refuses methods that are not in `allowed`.
    pub(super) fn resource(
        &self,
        path: &str,
        route: Route,
        allowed: &'static str,
    ) -> Resource<impl ResourceFactory + use<>> {
        self.watch(route, web::resource(path))
            .route(web::method(Method::OPTIONS).to(move || async move {
                HttpResponse::NoContent().insert_header((header::ALLOW, HeaderValue::from_static(allowed))).finish()
            }))
            .default_service(web::to(
                move || async move { Err::<HttpResponse, _>(Problem::method_not_allowed(allowed)) },
            ))
    }

    /// Every address that has no resource of its own; to be registered last.
    pub(super) fn anywhere_else(&self) -> Resource<impl ResourceFactory + use<>> {
        self.watch(Route::Unknown, web::resource("{path:.*}")).default_service(web::to(nothing_here))
    }

    /// What answers requests that name no address of this server: `OPTIONS *`, which is about the server as a whole, and
    /// targets of proxies.
    pub(super) fn without_address(&self) -> impl ResourceFactory + use<> {
        let layer = self.clone();
        apply_fn_factory(web::to(about_the_server), move |request, service: &_| {
            layer.clone().watched(Route::Unknown, request, service)
        })
    }

    fn watch(&self, route: Route, resource: Resource) -> Resource<impl ResourceFactory + use<>> {
        let layer = self.clone();
        resource.wrap_fn(move |request, service| layer.clone().watched(route, request, service))
    }

    fn watched<S>(
        self,
        route: Route,
        request: ServiceRequest,
        service: &S,
    ) -> impl Future<Output = Result<ServiceResponse, Error>> + use<S>
    where
        S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
    {
        let started = Instant::now();
        let answer = match request_head::check(request.headers()) {
            Ok(()) => Either::Left(service.call(request)),
            Err(problem) => Either::Right(std::future::ready(Ok(request.error_response(problem)))),
        };
        async move { Ok(self.finish(route, started, answer.await?)) }
    }

    fn finish(&self, route: Route, started: Instant, answer: ServiceResponse) -> ServiceResponse {
        let id = self.0.ids.of(answer.request().headers());
        let mut answer = complete(evaluated(answer), &id);
        let is_temporary = matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let headers = answer.headers_mut();
        if is_temporary && !headers.contains_key(header::RETRY_AFTER) {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        headers.insert(X_REQUEST_ID.clone(), id);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        self.0.cors.allow(&mut answer);
        let took = started.elapsed();
        let (method, status) = (answer.request().method(), answer.status());
        self.0.metrics.count(route, method, status, took);
        // Not the path: an id that is written in another way would pass the redaction of logs.
        let user = || UserId::parse(answer.request().match_info().query("user_id")).ok();
        tracing::debug!(%method, route = route.name(), user = user().as_ref().map(UserId::as_str), status = status.as_u16(), ?took, "answered");
        answer
    }
}

/// Replaces the answer to a read whose `If-Match` does not hold.
fn evaluated(answer: ServiceResponse) -> ServiceResponse {
    match conditional::precondition_failed(&answer) {
        false => answer,
        true => {
            let detail = "no tag in `If-Match` is that of what would be sent: read without it for the current one";
            ServiceResponse::from_err(Problem::new(Code::PreconditionFailed, detail), answer.into_parts().0)
        }
    }
}

/// Replaces an error by its problem, with the request's path and id.
fn complete(answer: ServiceResponse, id: &HeaderValue) -> ServiceResponse {
    let Some(error) = answer.response().error() else { return answer };
    let foreign;
    let problem = match error.as_error::<Problem>() {
        Some(problem) => problem,
        None => {
            tracing::error!(%error, "a request failed outside its handler");
            foreign = Problem::new(Code::Internal, "the request could not be handled");
            &foreign
        }
    };
    let uri = answer.request().uri();
    // A target of proxies has no path.
    let instance = if uri.path().is_empty() { uri.to_string() } else { uri.path().to_owned() };
    let body = problem.answer(Some(&instance), id.to_str().ok());
    answer.into_response(body.map_body(|_, body| BoxBody::new(body)))
}

/// What answers at every other address.
async fn nothing_here() -> Result<HttpResponse, Problem> {
    Err(Problem::new(Code::UnknownResource, "see the documentation for the addresses that there are"))
}

/// Methods that some address of the server takes.
const SERVER_METHODS: &str = "GET, HEAD, POST, PUT, OPTIONS";

async fn about_the_server(request: HttpRequest) -> Result<HttpResponse, Problem> {
    match *request.method() {
        Method::OPTIONS => Ok(HttpResponse::NoContent()
            .insert_header((header::ALLOW, HeaderValue::from_static(SERVER_METHODS)))
            .finish()),
        Method::CONNECT => Err(Problem::method_not_allowed(SERVER_METHODS)),
        _ => nothing_here().await,
    }
}
