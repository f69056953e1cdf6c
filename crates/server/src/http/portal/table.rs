//! The table of the portal's routes, from which all that must agree is made: the router, the OpenAPI
//! document, and the list of routes that the access test walks.
//!
//! A page is a line `route("/path", get(handler).post(handler))`. An operation of the API is a line
//! `operation(Some(SCOPE), || routes!(handler))`: its path and method stand at the handler, the scope
//! is what the document says, and what the guard before it demands.

use std::convert::Infallible;
use std::mem;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::middleware;
use axum::routing::{self, MethodRouter};
use utoipa::openapi::path::{Operation, PathItem, Paths};
use utoipa_axum::router::UtoipaMethodRouter;

use super::super::cors;
use super::api::{self, Guard};
use crate::site::Site;

/// One route of the portal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The path, with `{names}`.
    pub path: String,
    /// The method.
    pub method: String,
}

/// The table.
pub(super) struct Table {
    site: Arc<Site>,
    pages: Router<Arc<Site>>,
    operations: Router<Arc<Site>>,
    listed: Vec<Route>,
    described: Described,
}

/// What the OpenAPI document is made of.
#[derive(Default)]
pub(super) struct Described {
    pub(super) paths: Paths,
    pub(super) schemas: Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>)>,
}

/// The handlers of one path.
pub(super) struct Methods {
    names: Vec<&'static str>,
    router: MethodRouter<Arc<Site>, Infallible>,
}

/// Answers GET.
pub(super) fn get<H, T>(handler: H) -> Methods
where
    H: Handler<T, Arc<Site>>,
    T: 'static,
{
    Methods { names: vec!["GET"], router: routing::get(handler) }
}

/// Answers POST.
pub(super) fn post<H, T>(handler: H) -> Methods
where
    H: Handler<T, Arc<Site>>,
    T: 'static,
{
    Methods { names: vec!["POST"], router: routing::post(handler) }
}

/// Hands every method to a handler that takes POST, and says itself what it does not take.
pub(super) fn any<H, T>(handler: H) -> Methods
where
    H: Handler<T, Arc<Site>>,
    T: 'static,
{
    Methods { names: vec!["POST"], router: routing::any(handler) }
}

/// Lets a route answer what a browser asks before a call of a script.
pub(super) fn preflighted(methods: Methods) -> Methods {
    Methods { router: cors::preflighted(methods.router), ..methods }
}

impl Methods {
    /// And POST.
    pub(super) fn post<H, T>(mut self, handler: H) -> Methods
    where
        H: Handler<T, Arc<Site>>,
        T: 'static,
    {
        self.names.push("POST");
        Methods { router: self.router.post(handler), ..self }
    }
}

impl Table {
    /// An empty one.
    pub(super) fn new(site: &Arc<Site>) -> Table {
        Table {
            site: Arc::clone(site),
            pages: Router::new(),
            operations: Router::new(),
            listed: Vec::new(),
            described: Described::default(),
        }
    }

    /// Adds a page, or whatever else is no operation of the API.
    pub(super) fn route(mut self, path: &'static str, methods: Methods) -> Table {
        let Methods { names, router } = methods;
        let line = |name: &str| Route { path: path.to_owned(), method: name.to_owned() };
        self.listed.extend(names.into_iter().map(line));
        self.pages = self.pages.route(path, router);
        self
    }

    /// Adds an operation of the API, for tokens of that scope; `None` for everybody. It is made in a
    /// call of its own: what describes it is large, and a thread's stack is not.
    pub(super) fn operation(
        &mut self,
        scope: Option<&'static str>,
        routes: impl FnOnce() -> UtoipaMethodRouter<Arc<Site>>,
    ) {
        let (schemas, paths, router) = routes();
        let router = match scope {
            None => router,
            Some(scope) => {
                let guard = Guard { site: Arc::clone(&self.site), scope };
                router.route_layer(middleware::from_fn_with_state(guard, api::guard))
            }
        };
        self.described.schemas.extend(schemas);
        for (path, mut item) in paths.paths {
            for (method, operation) in operations(&mut item) {
                self.listed.push(Route { path: path.clone(), method: method.to_owned() });
                api::complete(operation, &path, scope);
            }
            self.operations = mem::take(&mut self.operations).route(&path, router.clone());
            match self.described.paths.paths.get_mut(&path) {
                Some(known) => known.merge_operations(item),
                None => drop(self.described.paths.paths.insert(path, item)),
            }
        }
    }

    /// All routes, in the order of their paths.
    pub(super) fn listed(&self) -> Vec<Route> {
        let mut listed = self.listed.clone();
        listed.sort();
        listed
    }

    /// The router, and what describes its operations.
    pub(super) fn finish(self) -> (Router<Arc<Site>>, Described) {
        let operations = self.operations.method_not_allowed_fallback(api::method_not_allowed);
        (self.pages.merge(operations), self.described)
    }
}

/// What stands at a path, with its method.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    [
        ("GET", item.get.as_mut()),
        ("PUT", item.put.as_mut()),
        ("POST", item.post.as_mut()),
        ("PATCH", item.patch.as_mut()),
        ("DELETE", item.delete.as_mut()),
    ]
    .into_iter()
    .filter_map(|(method, operation)| Some((method, operation?)))
}
