//! From method, path, query and headers to an operation, by the bindings of the service's model.
//!
//! Operations that share a path template stand together. Among them the query decides: S3 has a hundred operations on two
//! templates, told apart by fixed keys (`?uploads`, `?list-type=2`) and by required members (`uploadId`,
//! `x-amz-copy-source`). The most demanding operation whose demands are all met is taken.
//!
//! A request never falls through to a lesser operation: `PUT /bucket/key?uploads` or `?partNumber=1` must not become a
//! PutObject. So a key that tells operations of this template apart must belong to the operation that is taken.

use std::borrow::Cow;
use std::cmp::Reverse;

use http::HeaderMap;

use crate::uri::decode_path;
use crate::{Location, OperationRoute, ServiceSchema};

/// Decoded query pairs, in the order of the request.
pub type Query<'a> = [(Cow<'a, str>, Cow<'a, str>)];

/// The REST operations of one service.
pub struct Router {
    /// Most specific first: a literal segment beats a label, a label beats a greedy one.
    templates: Vec<Template>,
}

/// An operation, and what the path said.
#[derive(Debug)]
pub struct Found {
    /// The operation; without a schema it is answered by 501.
    pub operation: &'static OperationRoute,
    /// Label names with their decoded values, in path order.
    pub labels: Vec<(&'static str, String)>,
}

/// Why no operation was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoute {
    /// No operation has such a path.
    Path,
    /// The path exists, but not with this method and query.
    Method,
    /// The path is not UTF-8 once decoded.
    Encoding,
}

struct Template {
    segments: Vec<Segment>,
    routes: Vec<Route>,
    /// Keys that tell these operations apart, with the value that a fixed key must have to count.
    telling: Vec<(&'static str, Option<&'static str>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(&'static str),
    Label(&'static str),
    Greedy(&'static str),
}

struct Route {
    operation: &'static OperationRoute,
    fixed: Vec<(&'static str, Option<&'static str>)>,
}

impl Router {
    /// Prepares the templates of `service`.
    pub fn new(service: &ServiceSchema) -> Router {
        let mut templates: Vec<Template> = Vec::new();
        for operation in service.operations {
            let (path, query) = operation
                .http
                .uri
                .split_once('?')
                .unwrap_or((operation.http.uri, ""));
            let segments: Vec<Segment> = path
                .split('/')
                .skip(1)
                .filter(|text| !text.is_empty())
                .map(Segment::parse)
                .collect();
            let fixed = query
                .split('&')
                .filter(|key| !key.is_empty())
                .map(fixed_key)
                .collect();
            let route = Route { operation, fixed };
            match templates
                .iter_mut()
                .find(|template| template.segments == segments)
            {
                Some(template) => template.routes.push(route),
                None => templates.push(Template {
                    segments,
                    routes: vec![route],
                    telling: Vec::new(),
                }),
            }
        }
        for template in &mut templates {
            template.telling = template.routes.iter().flat_map(Route::telling).collect();
            template.telling.sort_unstable();
            template.telling.dedup();
        }
        templates.sort_by(|a, b| {
            a.segments
                .iter()
                .map(Segment::rank)
                .cmp(b.segments.iter().map(Segment::rank))
        });
        Router { templates }
    }

    /// The operation for a request. `path` is raw, as it came on the wire; `query` is decoded.
    ///
    /// # Errors
    ///
    /// When none fits, as precisely as is known.
    pub fn find(
        &self,
        method: &str,
        path: &str,
        query: &Query<'_>,
        headers: &HeaderMap,
    ) -> Result<Found, NoRoute> {
        let mut failure = NoRoute::Path;
        for template in &self.templates {
            let Some(labels) = template.labels(path) else {
                continue;
            };
            match template.choose(method, query, headers) {
                Some(operation) => {
                    return Ok(Found {
                        operation,
                        labels: decode(labels)?,
                    });
                }
                None => failure = NoRoute::Method,
            }
        }
        Err(failure)
    }
}

impl Template {
    /// The raw labels of `path`, if it has this form. A slash at the end is of no account, unless a greedy label takes it.
    fn labels<'a>(&self, path: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
        let mut rest = path.strip_prefix('/')?;
        let mut labels = Vec::new();
        for (index, segment) in self.segments.iter().enumerate() {
            if let Segment::Greedy(name) = segment {
                let value = strip_literals(rest, &self.segments[index + 1..])?;
                labels.push((*name, value));
                return (!value.is_empty()).then_some(labels);
            }
            let (head, tail) = rest.split_once('/').unwrap_or((rest, ""));
            match segment {
                Segment::Literal(text) if *text == head => {}
                Segment::Label(name) if !head.is_empty() => labels.push((*name, head)),
                _ => return None,
            }
            rest = tail;
        }
        rest.is_empty().then_some(labels)
    }

    fn choose(
        &self,
        method: &str,
        query: &Query<'_>,
        headers: &HeaderMap,
    ) -> Option<&'static OperationRoute> {
        let telling: Vec<&str> = query
            .iter()
            .filter(|pair| self.tells(pair))
            .map(|(key, _)| &**key)
            .collect();
        let fits = |route: &Route| {
            route.operation.http.method == method
                && route
                    .fixed
                    .iter()
                    .all(|key| query.iter().any(|pair| is_fixed(key, pair)))
                && telling.iter().all(|key| route.takes(key))
        };
        let ranked = self
            .routes
            .iter()
            .filter(|route| fits(route))
            .filter_map(|route| {
                let http = &route.operation.http;
                let (demands, missing) = (http.demands(), http.missing(query, headers));
                // Where some demands are met and some are not, that operation may say what is missing.
                let meant = missing == 0 || missing < demands || !route.fixed.is_empty();
                let implemented = route.operation.schema.is_some();
                let rank = (Reverse(missing), route.fixed.len(), demands, implemented);
                meant.then_some((rank, route.operation))
            });
        // Of equals the last by name: S3's `GetBucketLifecycleConfiguration` has replaced `GetBucketLifecycle`.
        let (_, operation) = ranked.max_by_key(|(rank, _)| *rank)?;
        Some(operation)
    }

    fn tells(&self, pair: &(Cow<'_, str>, Cow<'_, str>)) -> bool {
        self.telling.iter().any(|key| is_fixed(key, pair))
    }
}

impl Route {
    fn telling(&self) -> impl Iterator<Item = (&'static str, Option<&'static str>)> {
        // A required member tells nothing where a fixed key has told already: `?analytics&id=`.
        let required = if self.fixed.is_empty() {
            self.operation.http.required_query
        } else {
            &[]
        };
        self.fixed
            .iter()
            .copied()
            .chain(required.iter().map(|key| (*key, None)))
    }

    /// Whether the operation has a use for query key `key`.
    fn takes(&self, key: &str) -> bool {
        self.fixed.iter().any(|(name, _)| *name == key)
            || self.operation.http.required_query.contains(&key)
            || self.operation.schema.is_some_and(|schema| {
                schema
                    .input
                    .members
                    .iter()
                    .any(|member| member.location == Location::Query && member.wire == key)
            })
    }
}

impl crate::Http {
    fn demands(&self) -> usize {
        self.required_query.len() + self.required_headers.len()
    }

    fn missing(&self, query: &Query<'_>, headers: &HeaderMap) -> usize {
        let keys = self
            .required_query
            .iter()
            .filter(|key| !query.iter().any(|(name, _)| name == *key));
        let names = self
            .required_headers
            .iter()
            .filter(|name| !headers.contains_key(**name));
        keys.count() + names.count()
    }
}

impl Segment {
    fn parse(text: &'static str) -> Segment {
        match text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'))
        {
            None => Segment::Literal(text),
            Some(label) => match label.strip_suffix('+') {
                Some(label) => Segment::Greedy(label),
                None => Segment::Label(label),
            },
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Segment::Literal(_) => 0,
            Segment::Label(_) => 1,
            Segment::Greedy(_) => 2,
        }
    }
}

/// `list-type=2` of a template: the key, and the value if one is demanded.
fn fixed_key(text: &'static str) -> (&'static str, Option<&'static str>) {
    match text.split_once('=') {
        Some((key, value)) if !value.is_empty() => (key, Some(value)),
        Some((key, _)) => (key, None),
        None => (text, None),
    }
}

fn is_fixed(
    (key, value): &(&'static str, Option<&'static str>),
    pair: &(Cow<'_, str>, Cow<'_, str>),
) -> bool {
    *key == pair.0 && value.is_none_or(|value| value == pair.1)
}

/// Takes the literals that follow a greedy label off the end of `path`.
fn strip_literals<'a>(mut path: &'a str, literals: &[Segment]) -> Option<&'a str> {
    for segment in literals.iter().rev() {
        let Segment::Literal(text) = segment else {
            return None;
        };
        path = path.strip_suffix(text)?.strip_suffix('/')?;
    }
    Some(path)
}

fn decode(labels: Vec<(&'static str, &str)>) -> Result<Vec<(&'static str, String)>, NoRoute> {
    labels
        .into_iter()
        .map(|(name, raw)| {
            Ok((
                name,
                decode_path(raw).ok_or(NoRoute::Encoding)?.into_owned(),
            ))
        })
        .collect()
}
