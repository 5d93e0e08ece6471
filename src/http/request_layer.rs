//! The layer around all routes, which adds request ids, completes problems, allows cross-origin reads, and counts
//! requests.
//!
//! Every cache hit passes through it, so it formats nothing and allocates little.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use actix_service::apply_fn_factory;
use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::web::Data;
use actix_web::{Error, HttpRequest, HttpResponse, Resource, web};
use domain::id::UserId;
use futures_util::future::Either;

use super::cors::Cors;
use super::counted::{Counted, CountedMethods};
use super::problem::{Code, Problem};
use super::request::access_control::AccessControl;
use super::request::conditional;
use super::request::limits::{Allowance, Limits};
use super::request_head;
use super::request_id::{RequestIds, X_REQUEST_ID};
use super::route::{self, Route};
use super::route_metrics::RouteMetrics;

/// The header `Retry-After` of a 429 or 503 that has none, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// The label `route` of requests for addresses that are not in the route table.
const UNKNOWN: &str = "unknown";

/// Makes the service of a resource, as actix requires it.
pub(super) trait ResourceFactory:
    ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
{
}

impl<T> ResourceFactory for T where
    T: ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse, Error = Error, InitError = ()>
{
}

/// The layer of one worker, which wraps each of its routes.
#[derive(Clone)]
pub(super) struct RequestLayer(Rc<LayerState>);

struct LayerState {
    ids: Rc<RequestIds>,
    cors: Arc<Cors>,
    /// The limits of requests without a caller; `None` on the admin listener.
    limits: Option<Arc<Limits>>,
}

/// The layer around one route.
struct RouteLayer {
    layer: RequestLayer,
    metrics: RouteMetrics,
    counted: CountedMethods,
}

impl RequestLayer {
    /// Returns the layer of a new worker. `start` differs from one start of the server to the next and is part of
    /// request ids. Without `limits`, requests without a caller are not counted.
    pub(super) fn new(start: u64, cors: Arc<Cors>, limits: Option<Arc<Limits>>) -> Self {
        Self(Rc::new(LayerState { ids: Rc::new(RequestIds::new(start)), cors, limits }))
    }

    /// Returns what makes the ids of the worker's requests.
    pub(super) fn ids(&self) -> Rc<RequestIds> {
        Rc::clone(&self.0.ids)
    }

    /// Returns the resource of the rows of one path, which answers `OPTIONS` and refuses methods that no row has.
    pub(super) fn resource(
        &self,
        rows: &[&'static Route],
        control: &Data<AccessControl>,
    ) -> Resource<impl ResourceFactory + use<>> {
        let allow = route::allow(rows.iter().flat_map(|row| row.methods));
        let allowed = allow.clone();
        let resource = self.wrap(rows[0].name, CountedMethods::for_rows(rows), web::resource(rows[0].path));
        let handlers = rows.iter().flat_map(|row| row.methods.iter().map(move |method| (*row, method)));
        handlers
            .fold(resource, |resource, (row, method)| {
                resource.route(row.handler(control, &self.0.ids).method(method.clone()))
            })
            .route(web::method(Method::OPTIONS).to(move || std::future::ready(options(&allow))))
            .default_service(web::to(move || {
                std::future::ready(Err::<HttpResponse, _>(Problem::method_not_allowed(allowed.clone())))
            }))
    }

    /// Returns the resource of all addresses without a route, which must be registered last.
    pub(super) fn unknown_addresses(&self) -> Resource<impl ResourceFactory + use<>> {
        self.wrap(UNKNOWN, CountedMethods::unknown(), web::resource("{path:.*}"))
            .default_service(web::to(unknown_address))
    }

    /// Returns the service of requests without an address of this server: `OPTIONS *`, which asks about the whole
    /// server, and requests for a proxy. `allow` lists the methods that some address accepts.
    pub(super) fn without_address(&self, allow: HeaderValue) -> impl ResourceFactory + use<> {
        let route = self.route_layer(UNKNOWN, CountedMethods::unknown());
        let service = web::to(move |request: HttpRequest| std::future::ready(without_address(&request, &allow)));
        apply_fn_factory(service, move |request, service: &_| Rc::clone(&route).call(request, service))
    }

    fn wrap(
        &self,
        name: &'static str,
        counted: CountedMethods,
        resource: Resource,
    ) -> Resource<impl ResourceFactory + use<>> {
        let route = self.route_layer(name, counted);
        resource.wrap_fn(move |request, service| Rc::clone(&route).call(request, service))
    }

    fn route_layer(&self, name: &'static str, counted: CountedMethods) -> Rc<RouteLayer> {
        Rc::new(RouteLayer { layer: self.clone(), metrics: RouteMetrics::new(name), counted })
    }
}

impl RouteLayer {
    fn call<S>(
        self: Rc<Self>,
        request: ServiceRequest,
        service: &S,
    ) -> impl Future<Output = Result<ServiceResponse, Error>> + use<S>
    where
        S: Service<ServiceRequest, Response = ServiceResponse, Error = Error>,
    {
        let started = Instant::now();
        let admitted = request_head::check(request.headers()).and_then(|()| self.count(request.request(), started));
        let (answer, allowance) = match admitted {
            Ok(allowance) => (Either::Left(service.call(request)), allowance),
            Err(problem) => {
                (Either::Right(std::future::ready(Ok(request.error_response(problem)))), Allowance::UNCOUNTED)
            }
        };
        async move { Ok(self.finish(started, answer.await?, allowance)) }
    }

    /// Counts a request for the limits that do not depend on its caller. Returns what is left of them to the address.
    fn count(&self, request: &HttpRequest, started: Instant) -> Result<Allowance, Problem> {
        let Some(limits) = &self.layer.0.limits else { return Ok(Allowance::UNCOUNTED) };
        let counted = self.counted.of(request.method());
        if counted == Counted::Never {
            return Ok(Allowance::UNCOUNTED);
        }
        limits.count_request(started)?;
        match counted {
            Counted::Never | Counted::AsRequest => Ok(Allowance::UNCOUNTED),
            Counted::AsAnonymous => limits.count_anonymous(request),
            Counted::AsClass(class) => limits.count_by_address(class, request),
        }
    }

    fn finish(&self, started: Instant, answer: ServiceResponse, allowance: Allowance) -> ServiceResponse {
        let state = &self.layer.0;
        let id = state.ids.of(answer.request());
        let mut answer = complete_problem(check_precondition(answer), &id);
        let is_temporary = matches!(answer.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let is_limit = answer.status() == StatusCode::TOO_MANY_REQUESTS;
        let headers = answer.headers_mut();
        if !is_limit {
            // Those of a limit that was reached stay.
            allowance.write(headers);
        }
        if is_temporary && !headers.contains_key(header::RETRY_AFTER) {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        headers.insert(X_REQUEST_ID.clone(), id);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        state.cors.allow(&mut answer);
        let took = started.elapsed();
        let (method, status) = (answer.request().method(), answer.status());
        self.metrics.count(method, status, took);
        // The user id instead of the path: the redaction would not recognize a percent-encoded id in the path.
        let user = || UserId::parse(answer.request().match_info().query("user_id")).ok();
        tracing::debug!(%method, route = self.metrics.name(), user = user().as_ref().map(UserId::as_str), status = status.as_u16(), ?took, "answered");
        answer
    }
}

/// Replaces the answer to a read whose `If-Match` does not match.
fn check_precondition(answer: ServiceResponse) -> ServiceResponse {
    if !conditional::precondition_failed(&answer) {
        return answer;
    }
    let detail = "`If-Match` does not list the current entity tag: read without `If-Match` to get it";
    ServiceResponse::from_err(Problem::new(Code::PreconditionFailed, detail), answer.into_parts().0)
}

/// Replaces an error by its problem, with the path and the id of the request.
fn complete_problem(answer: ServiceResponse, id: &HeaderValue) -> ServiceResponse {
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
    // A request for a proxy may have a target without a path.
    let instance = if uri.path().is_empty() { uri.to_string() } else { uri.path().to_owned() };
    let body = problem.answer(Some(&instance), id.to_str().ok());
    answer.into_response(body.map_body(|_, body| BoxBody::new(body)))
}

/// Refuses requests for an address that is not in the route table.
async fn unknown_address() -> Result<HttpResponse, Problem> {
    Err(no_such_address())
}

fn no_such_address() -> Problem {
    Problem::new(Code::UnknownResource, "there is nothing at this address: `/` lists the addresses of this server")
}

fn options(allow: &HeaderValue) -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::ALLOW, allow.clone())).finish()
}

fn without_address(request: &HttpRequest, allow: &HeaderValue) -> Result<HttpResponse, Problem> {
    match *request.method() {
        Method::OPTIONS => Ok(options(allow)),
        Method::CONNECT => Err(Problem::method_not_allowed(allow.clone())),
        _ => Err(no_such_address()),
    }
}
