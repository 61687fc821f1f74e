//! Closes a connection whose body nobody reads to its end, soon after the answer.
//!
//! Once the reader of a chunked body has gone, actix-http reads it on for as long as it comes, without a bound in bytes or
//! in time, before it looks at the connection again. While a reader is left when the answer is written, it closes instead,
//! within its disconnect deadline, as it does with a body of declared length. So the reader stays with the answer.
//!
//! Where a WebSocket is asked for, it takes all that ever comes for the body. There is none here, so that is refused.

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

/// Middleware: refuses a body without an end, and sees to it that a chunked one which was not read to its end closes the
/// connection.
///
/// # Errors
/// Those of the service below, which has to answer with a response of its own before the body is read.
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

/// Whether actix-http takes all that comes after the head for the body, whatever length was declared.
fn is_endless(request: &ServiceRequest) -> bool {
    let mut protocols = request.headers().get_all(UPGRADE);
    let is_websocket =
        |protocol: &HeaderValue| protocol.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket");
    !request.method().is_safe() && protocols.any(is_websocket)
}

/// The body of a request, for its reader and for the answer.
#[derive(Clone)]
struct Body(Rc<RefCell<Payload>>);

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}

/// An answer that keeps the body of its request until it is written.
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
