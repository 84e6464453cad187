//! The built-in connector `http`: one question to a web page that the configuration names.
//!
//! `with` says what is asked (`url`, and `method`, `headers`, `body`), and what is taken out of a JSON answer (`take`: outputs, and
//! where they stand as JSON pointers). The host is resolved before, each of its addresses is checked, and no other is connected
//! to. A redirect is followed only to the same origin, for headers may hold secrets. What libraries say about a failure is not
//! passed on: it may show the URL.

use super::{
    error::ConnectorError,
    host::{Hosts, Place},
};
use crate::bounded_body::{bounded_body, BodyError};
use reqwest::{header::LOCATION, redirect::Policy, Client, Method, Response, Url};
use rings_process::{
    bounds::MAX_ANSWER_BYTES,
    data::{Data, Fields},
    document::Document,
    execution::Answer,
    external::Call,
    runners::{HTTP_BODY, HTTP_CODE, HTTP_OK, HTTP_REFUSED},
    service::Task,
};
use std::time::Duration;

/// Redirects that are followed.
const MAX_REDIRECTS: usize = 5;

/// The connector.
pub(super) struct Http {
    hosts: Hosts,
}

/// What is asked.
struct Question {
    method: Method,
    url: Url,
    headers: Vec<(String, String)>,
    body: Option<String>,
}

impl Http {
    pub fn new(allowed: Vec<String>, private: Vec<String>) -> Self {
        Self {
            hosts: Hosts { allowed, private },
        }
    }

    /// Whether the configuration names any host.
    pub fn is_allowed(&self) -> bool {
        !self.hosts.allowed.is_empty()
    }

    /// Asks, and gives the answer as one of the task's statuses.
    ///
    /// # Errors
    /// [`ConnectorError`].
    pub async fn run(
        &self,
        task: &Task,
        call: &Call,
        limit: Duration,
    ) -> Result<Vec<u8>, ConnectorError> {
        let question = Question::read(call)?;
        let asked = tokio::time::timeout(limit, self.ask(task, question, &call.key)).await;
        let answer = asked.unwrap_or(Err(ConnectorError::Slow {
            seconds: limit.as_secs(),
        }))?;
        answer
            .to_bytes()
            .map_err(|error| ConnectorError::Question(error.to_string()))
    }

    async fn ask(
        &self,
        task: &Task,
        mut question: Question,
        key: &str,
    ) -> Result<Answer, ConnectorError> {
        for _ in 0..=MAX_REDIRECTS {
            let place = self.hosts.place(&question.url).await?;
            let response = send(&question, &place, key).await?;
            let Some(next) = further(&response, &question.url)? else {
                return answer(task, &place, response).await;
            };
            question.url = next;
        }
        Err(ConnectorError::Redirects(MAX_REDIRECTS))
    }
}

impl Question {
    fn read(call: &Call) -> Result<Self, ConnectorError> {
        let wrong = |what: &str| ConnectorError::Question(what.into());
        let text = |name: &str| call.with.get(name).map(Data::to_text);
        let url = text("url").unwrap_or_default();
        let headers = match call.with.get("headers") {
            None => Vec::new(),
            Some(Data::Map(headers)) => headers
                .iter()
                .map(|(name, value)| (name.clone(), value.to_text()))
                .collect(),
            Some(_) => return Err(wrong("with.headers is no map of names and texts")),
        };
        let method = text("method").unwrap_or_else(|| "GET".into());
        Ok(Self {
            method: Method::from_bytes(method.as_bytes())
                .map_err(|_| wrong("with.method is none of HTTP"))?,
            url: url.parse().map_err(|_| wrong("with.url is no URL"))?,
            headers,
            body: text("body"),
        })
    }
}

async fn send(question: &Question, place: &Place, key: &str) -> Result<Response, ConnectorError> {
    let silent = |what| ConnectorError::Silent {
        host: place.shown.clone(),
        what,
    };
    // A proxy of the environment would resolve the name again, and connect to wherever that leads.
    let mut client = Client::builder().no_proxy().redirect(Policy::none());
    if let Some(name) = &place.name {
        client = client.resolve_to_addrs(name, &place.addresses);
    }
    let client = client
        .build()
        .map_err(|_| silent("no client can be made"))?;
    let mut request = client
        .request(question.method.clone(), question.url.clone())
        .header("idempotency-key", key);
    for (name, value) in &question.headers {
        request = request.header(name, value);
    }
    if let Some(body) = &question.body {
        request = request.body(body.clone());
    }
    let request = request.build();
    let request = request
        .map_err(|_| ConnectorError::Question("a header of with.headers is none of HTTP".into()))?;
    client
        .execute(request)
        .await
        .map_err(|error| match error.is_connect() {
            true => silent("no connection can be made"),
            false => silent("the connection has ended, or speaks no HTTP"),
        })
}

/// Where a redirect leads, if the response is one.
fn further(response: &Response, from: &Url) -> Result<Option<Url>, ConnectorError> {
    let location = response.headers().get(LOCATION);
    let Some(location) = location.filter(|_| response.status().is_redirection()) else {
        return Ok(None);
    };
    let next = location.to_str().ok().and_then(|text| from.join(text).ok());
    match next {
        Some(next) if next.origin() == from.origin() => Ok(Some(next)),
        _ => Err(ConnectorError::Elsewhere),
    }
}

async fn answer(task: &Task, place: &Place, response: Response) -> Result<Answer, ConnectorError> {
    let code = response.status();
    let status = match code.is_success() {
        true => HTTP_OK,
        false => HTTP_REFUSED,
    };
    let Some(declared) = task.statuses.get(status) else {
        return Err(ConnectorError::Refused {
            host: place.shown.clone(),
            code: code.as_u16(),
        });
    };
    let content = |what: String| ConnectorError::Content {
        host: place.shown.clone(),
        what,
    };
    let body = body(response, place).await?;
    let mut outputs = Fields::new();
    for (name, shape) in declared.iter() {
        let value = match (name, pointer(task, name)) {
            (_, Some(pointer)) => {
                taken(&body, pointer, shape.kinds().contains("string")).map_err(content)?
            }
            (HTTP_CODE, None) => Data::Int(code.as_u16().into()),
            (HTTP_BODY, None) => String::from_utf8(body.clone())
                .map_err(|_| content("is no text in UTF-8".into()))?
                .into(),
            (_, None) => continue,
        };
        outputs.insert(name.to_owned(), value);
    }
    Ok(Answer {
        outputs,
        status: status.into(),
    })
}

/// Where an output stands in a JSON answer, as the definition says. Nothing of the configuration is in it.
fn pointer<'t>(task: &'t Task, output: &str) -> Option<&'t str> {
    match task.with.get("take")?.field(output)? {
        Data::Text(pointer) => Some(pointer),
        _ => None,
    }
}

/// The value at a JSON pointer. A number with a fraction is a text, where that fits.
fn taken(body: &[u8], pointer: &str, may_be_text: bool) -> Result<Data, String> {
    let json: serde_json::Value =
        serde_json::from_slice(body).map_err(|_| "is no JSON".to_owned())?;
    let value = json
        .pointer(pointer)
        .ok_or_else(|| format!("has nothing at {pointer}"))?;
    if let (serde_json::Value::Number(number), true) = (value, may_be_text) {
        if number.as_i64().is_none() {
            return Ok(Data::Text(number.to_string()));
        }
    }
    serde_json::from_value(value.clone()).map_err(|_| {
        format!(
            "has a fraction, or a number beyond 64 bits, at {pointer}; take it as a text (string)"
        )
    })
}

async fn body(response: Response, place: &Place) -> Result<Vec<u8>, ConnectorError> {
    let body = bounded_body(response, MAX_ANSWER_BYTES).await;
    body.map_err(|error| match error {
        BodyError::TooLong => ConnectorError::Flood,
        BodyError::Ended(_) => ConnectorError::Silent {
            host: place.shown.clone(),
            what: "the answer ends too early",
        },
    })
}
