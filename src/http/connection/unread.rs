//! Closes a connection soon after the answer when the body of the request was not read to its end.
//!
//! When the reader of a chunked body is dropped, actix-http goes on reading the body, without a bound in bytes or time,
//! before it serves the connection again. While a reader still exists when the answer is written, it closes the connection
//! instead, within its disconnect deadline, as it does for a body of declared length. So the reader is kept alive until the
//! answer is written.
//!
//! For a WebSocket upgrade, actix-http takes everything that follows for the body. WebSockets are not supported, so such a
//! request is refused.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::{HeaderValue, TRANSFER_ENCODING, UPGRADE};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage as _, ResponseError as _};
use futures_util::Stream;

use crate::http::problem::{Kind, Problem};

/// Middleware: refuses a body without an end, and closes the connection after a chunked body that was not read to its end.
///
/// # Errors
/// Those of the service below. That service must turn its own errors into responses before the body is read.
pub async fn close_after_answer(
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse, Error> {
    if !request.headers().contains_key(TRANSFER_ENCODING) {
        if is_endless(&request) {
            let problem =
                Problem::new(Kind::BadRequest).detail("WebSockets are not supported; leave out `Upgrade`");
            return Ok(request.into_response(problem.error_response()));
        }
        return next.call(request).await;
    }
    let body = Body(Rc::new(RefCell::new(request.take_payload())));
    request.set_payload(Payload::Stream { payload: Box::pin(body.clone()) });
    let answered = next.call(request).await?;
    Ok(answered.map_body(|_, answer| BoxBody::new(Answer { answer, _body: body })))
}

/// Whether actix-http takes everything after the head for the body, whatever length was declared.
fn is_endless(request: &ServiceRequest) -> bool {
    let mut protocols = request.headers().get_all(UPGRADE);
    let is_websocket =
        |protocol: &HeaderValue| protocol.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    !request.method().is_safe() && protocols.any(is_websocket)
}

/// The body of a request, shared by its reader and the answer.
#[derive(Clone)]
struct Body(Rc<RefCell<Payload>>);

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

/// An answer that keeps the body of its request alive until it is written.
struct Answer {
    answer: BoxBody,
    _body: Body,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(cx)
    }
}
