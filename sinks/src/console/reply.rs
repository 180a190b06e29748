//! Answers that are errors, as JSON: `{"error":{"code","message"}}`.

use crate::alerts::BookError;
use axum::Json;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use records::AppendError;
use serde::de::DeserializeOwned;
use serde_json::json;
use store::StoreError;

/// An answer that is an error; a variant per decision the client makes.
#[derive(Debug)]
pub enum Refusal {
    /// Ask differently.
    BadRequest(String),
    /// Log in.
    Unauthorized,
    /// Not from there, or not this way.
    Forbidden(String),
    /// There is no such thing.
    NotFound(String),
    /// Not with this method.
    MethodNotAllowed,
    /// It is not in a state for that.
    Conflict(String),
    /// Ask for less.
    TooMuch(String),
    /// Try again later.
    Unavailable(String),
}

impl Refusal {
    fn parts(self) -> (StatusCode, &'static str, String) {
        match self {
            Refusal::BadRequest(message) => (StatusCode::BAD_REQUEST, "bad_request", message),
            Refusal::Unauthorized => {
                (StatusCode::UNAUTHORIZED, "unauthorized", "log in at /login".to_owned())
            }
            Refusal::Forbidden(message) => (StatusCode::FORBIDDEN, "forbidden", message),
            Refusal::NotFound(message) => (StatusCode::NOT_FOUND, "not_found", message),
            Refusal::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "not with this method".to_owned())
            }
            Refusal::Conflict(message) => (StatusCode::CONFLICT, "conflict", message),
            Refusal::TooMuch(message) => (StatusCode::BAD_REQUEST, "too_much", message),
            Refusal::Unavailable(message) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", message),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code, message) = self.parts();
        (status, Json(json!({ "error": { "code": code, "message": message } }))).into_response()
    }
}

impl From<BookError> for Refusal {
    fn from(error: BookError) -> Refusal {
        tracing::warn!(error = &error as &dyn std::error::Error, "a question to a book failed");
        Refusal::Unavailable(error.to_string())
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Refusal {
        match error {
            StoreError::TooManyRows { limit } => {
                Refusal::TooMuch(format!("the answer has more than {limit} rows: ask for a shorter range"))
            }
            error => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a question to the store failed");
                Refusal::Unavailable(error.to_string())
            }
        }
    }
}

impl From<AppendError> for Refusal {
    fn from(error: AppendError) -> Refusal {
        tracing::warn!(error = &error as &dyn std::error::Error, "an operator's action could not be stored");
        Refusal::Unavailable(format!("not stored, try again: {error}"))
    }
}

/// For paths under `/api/v1` that lead nowhere.
pub async fn no_such_route(uri: Uri) -> Refusal {
    Refusal::NotFound(format!("no route {}", uri.path()))
}

/// For routes that are there, but not with this method.
pub async fn no_such_method() -> Refusal {
    Refusal::MethodNotAllowed
}

/// The query string; what can't be understood is refused as JSON, like everything else.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params<T>, Refusal> {
        Query::try_from_uri(&parts.uri)
            .map(|Query(asked)| Params(asked))
            .map_err(|error| Refusal::BadRequest(error.body_text()))
    }
}

/// A piece of the path, in the same manner.
pub struct Place<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Place<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Place<T>, Refusal> {
        let place = Path::<T>::from_request_parts(parts, state).await;
        place.map(|Path(place)| Place(place)).map_err(|error| Refusal::BadRequest(error.body_text()))
    }
}
