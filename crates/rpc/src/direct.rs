//! A stream of messages to a service that may be in the same process. There it is handed over as it is: encoding and decoding
//! would copy every byte twice.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use futures_util::Stream;
use tokio::sync::mpsc;
use tonic::Request;

/// The request's stream, for whoever takes it first: the service of this process from the request's extensions, or else the
/// transport, which reads it as the body. Extensions don't leave the process, so no client can put one there.
struct Direct<T>(Arc<Mutex<Option<mpsc::Receiver<T>>>>);

impl<T> Direct<T> {
    fn take(&self) -> Option<mpsc::Receiver<T>> {
        self.place().take()
    }

    /// The place is whole at every moment, also where a thread panicked.
    fn place(&self) -> MutexGuard<'_, Option<mpsc::Receiver<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Direct<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Makes a channel the stream of a request.
pub fn send_directly<T: Send + 'static>(
    request: Request<()>,
    messages: mpsc::Receiver<T>,
) -> Request<impl Stream<Item = T> + Send + Unpin> {
    let direct = Direct(Arc::new(Mutex::new(Some(messages))));
    let body = Body {
        direct: direct.clone(),
        messages: None,
    };
    let mut request = request.map(|()| body);
    request.extensions_mut().insert(direct);
    request
}

/// The messages of a request whose client is in this process. `None` if it is elsewhere: then they are in the request's body.
#[must_use]
pub fn take_directly<T: Send + 'static, B>(request: &Request<B>) -> Option<mpsc::Receiver<T>> {
    request.extensions().get::<Direct<T>>()?.take()
}

/// What the transport reads; nothing, if the service has taken it.
struct Body<T> {
    direct: Direct<T>,
    messages: Option<mpsc::Receiver<T>>,
}

impl<T> Stream for Body<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if self.messages.is_none() {
            self.messages = self.direct.take();
        }
        match &mut self.messages {
            Some(messages) => Poll::Ready(ready!(messages.poll_recv(cx))),
            None => Poll::Ready(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    async fn request() -> Request<impl Stream<Item = u8> + Unpin> {
        let (sender, receiver) = mpsc::channel(2);
        for number in [1, 2] {
            sender.send(number).await.unwrap();
        }
        send_directly(Request::new(()), receiver)
    }

    #[tokio::test]
    async fn a_service_of_this_process_takes_the_messages_themselves() {
        let mut request = request().await;
        let mut messages = take_directly::<u8, _>(&request).unwrap();
        assert_eq!(
            (messages.recv().await, messages.recv().await, messages.recv().await),
            (Some(1), Some(2), None)
        );
        assert_eq!(
            request.get_mut().next().await,
            None,
            "nothing is left for the transport"
        );
        assert!(take_directly::<u8, _>(&request).is_none());
    }

    #[tokio::test]
    async fn a_transport_reads_them_as_the_body() {
        let mut request = request().await;
        assert_eq!(request.get_mut().next().await, Some(1));
        assert!(take_directly::<u8, _>(&request).is_none(), "it is too late for that");
        assert_eq!(request.get_mut().collect::<Vec<u8>>().await, [2]);
    }
}
