//! Tracks whether a request can have reached the server, and asks right before it is written whether it still may.
//!
//! A mail is in doubt only if SES may have it. hyper polls a request's body when it writes the request to an open
//! connection, so a body that was never polled was never written, whatever the error says.
//!
//! Between the decision to send and that moment lie the wait for a connection, its handshakes and whatever else: seconds,
//! in which a stop may be committed. So a request may carry a [`WritePermit`], which the first poll of its body waits for.
//! hyper may have flushed the head of the request by then; without its body a request is not one that a service can act on
//! (RFC 9112, section 8: a message shorter than its Content-Length is incomplete), and a refusal closes the connection.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use http_body::{Body, Frame, SizeHint};

/// Asked when a request is about to be written: whether it may be.
pub struct WritePermit(PermitAnswer);

type PermitAnswer = Pin<Box<dyn Future<Output = bool> + Send>>;

impl WritePermit {
    /// The permit that `answer` gives. It is polled when the request is about to be written and not before.
    pub fn new(answer: impl Future<Output = bool> + Send + 'static) -> Self {
        Self(Box::pin(answer))
    }
}

/// Set once a request's body was polled, and permitted.
#[derive(Clone, Default)]
pub(super) struct WriteTracker {
    is_written: Arc<AtomicBool>,
    /// Taken by the request, of which there is one: a request with a permit is never tried again.
    permit: Arc<Mutex<Option<WritePermit>>>,
}

impl WriteTracker {
    /// Tracks a request that asks for this permit.
    pub(super) fn with_permit(permit: WritePermit) -> Self {
        Self { permit: Arc::new(Mutex::new(Some(permit))), ..Self::default() }
    }

    /// Whether the request may have been written, in part or whole.
    pub(super) fn may_be_written(&self) -> bool {
        self.is_written.load(Ordering::Acquire)
    }
}

impl fmt::Debug for WriteTracker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WriteTracker")
    }
}

#[dyn_dispatch_hint]
impl Intercept for WriteTracker {
    fn name(&self) -> &'static str {
        "WriteTracker"
    }

    // After signing, so that the signature is over the body itself.
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let permit = self.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
        let permission =
            permit.map_or(Permission::Granted, |WritePermit(answer)| Permission::Asked(Mutex::new(answer)));
        let body = context.request_mut().body_mut();
        let inner = std::mem::replace(body, SdkBody::taken());
        *body = SdkBody::from_body_1_x(TrackedBody { inner, permission, is_written: Arc::clone(&self.is_written) });
        Ok(())
    }
}

/// Whether a body may be written.
enum Permission {
    /// It is asked for. The lock only makes the body `Sync`, as its type demands.
    Asked(Mutex<PermitAnswer>),
    /// It may be.
    Granted,
    /// It may not.
    Refused,
}

/// A body that waits for its permit and records its first poll.
struct TrackedBody {
    inner: SdkBody,
    permission: Permission,
    is_written: Arc<AtomicBool>,
}

impl Body for TrackedBody {
    type Data = <SdkBody as Body>::Data;
    type Error = <SdkBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Permission::Asked(answer) = &mut self.permission {
            let answer = answer.get_mut().unwrap_or_else(PoisonError::into_inner);
            self.permission =
                if ready!(answer.as_mut().poll(context)) { Permission::Granted } else { Permission::Refused };
        }
        if matches!(self.permission, Permission::Refused) {
            return Poll::Ready(Some(Err("the request may not be written any more".into())));
        }
        self.is_written.store(true, Ordering::Release);
        Pin::new(&mut self.inner).poll_frame(context)
    }

    // False until the first poll, so that hyper cannot skip polling a body that it believes to be empty.
    fn is_end_stream(&self) -> bool {
        self.is_written.load(Ordering::Acquire) && Body::is_end_stream(&self.inner)
    }

    fn size_hint(&self) -> SizeHint {
        Body::size_hint(&self.inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::time::Duration;

    use aws_sdk_sesv2::operation::send_email::builders::SendEmailFluentBuilder;
    use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};
    use aws_smithy_runtime_api::client::http::SharedHttpClient;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::id::AccessKeyId;
    use crate::runtime::{Ambient, Connector, Environment};
    use crate::tenant::{Clients, Credential, Failure, FailureKind, Region, SecretAccessKey};

    /// Sends a mail to this port of the machine, as if it were SES.
    async fn send_to(port: u16) -> Result<String, Failure> {
        send_to_url(&format!("http://127.0.0.1:{port}")).await
    }

    async fn send_to_url(url: &str) -> Result<String, Failure> {
        send_with_permit(url, WritePermit::new(std::future::ready(true))).await
    }

    async fn send_with_permit(url: &str, permit: WritePermit) -> Result<String, Failure> {
        let environment = Environment::from_variables(&[("TENANT_AWS_ENDPOINT_URL", url)]);
        let clients = Clients::new(&environment, &SharedHttpClient::new(Connector::new(Ambient::system())));
        let credential = Credential {
            access_key_id: AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap(),
            secret_access_key: SecretAccessKey::from_pasted("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ+/01").unwrap(),
            region: Region::parse("eu-central-1").unwrap(),
        };
        let text = Content::builder().data("Thank you.").build().unwrap();
        let message = Message::builder().body(Body::builder().text(text).build()).build();
        let fill = |request: SendEmailFluentBuilder| {
            let destination = Destination::builder().to_addresses("a@example.org").build();
            let content = EmailContent::builder().simple(message).build();
            Ok(request.from_email_address("jane@example.com").destination(destination).content(content))
        };
        clients.send_email(&credential, fill, permit).await
    }

    /// A server that reads whole requests and answers each with these bytes, or closes the connection if there are none.
    /// Returns its port and the count of its requests.
    async fn spawn_server(answer: &'static str) -> (u16, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                read_request(&mut connection).await;
                counted.fetch_add(1, Ordering::SeqCst);
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        (port, requests)
    }

    async fn read_request(connection: &mut TcpStream) {
        let mut request = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
                if length.and_then(|length| length.trim().parse().ok()).unwrap_or(0) <= body.len() {
                    return;
                }
            }
            if connection.read_buf(&mut request).await.unwrap() == 0 {
                return;
            }
        }
    }

    #[tokio::test]
    async fn nobody_listening_proves_that_nothing_was_written() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert_eq!(send_to(port).await.unwrap_err().kind, FailureKind::NotWritten);
    }

    #[tokio::test]
    async fn a_server_that_does_not_speak_tls_proves_that_nothing_was_written() {
        let (port, _) = spawn_server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
        assert_eq!(send_to_url(&format!("https://127.0.0.1:{port}")).await.unwrap_err().kind, FailureKind::NotWritten);
    }

    #[tokio::test]
    async fn a_connection_that_ends_after_the_request_leaves_it_open_and_nothing_is_sent_again() {
        let (port, requests) = spawn_server("").await;
        assert_eq!(send_to(port).await.unwrap_err().kind, FailureKind::Unknown);
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_server_error_leaves_it_open_and_nothing_is_sent_again() {
        let (port, requests) =
            spawn_server("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
        assert_eq!(send_to(port).await.unwrap_err().kind, FailureKind::Unknown);
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn an_accepted_mail_has_the_id_that_the_server_gave_it() {
        let (port, _) = spawn_server(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 18\r\nconnection: close\r\n\r\n{\"MessageId\":\"id\"}",
        )
        .await;
        assert_eq!(send_to(port).await.unwrap(), "id");
    }

    #[tokio::test]
    async fn an_accepted_mail_with_an_answer_cut_short_is_open() {
        let (port, requests) =
            spawn_server("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 18\r\n\r\n{\"Mess")
                .await;
        assert_eq!(send_to(port).await.unwrap_err().kind, FailureKind::Unknown);
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    }

    const ACCEPTED: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 18\r\nconnection: close\r\n\r\n{\"MessageId\":\"id\"}";

    #[tokio::test]
    async fn a_request_that_is_not_permitted_is_not_written_and_safe_to_retry() {
        let (port, requests) = spawn_server(ACCEPTED).await;
        let permit = WritePermit::new(async {
            sleep(Duration::from_millis(50)).await;
            false
        });
        let refused = send_with_permit(&format!("http://127.0.0.1:{port}"), permit).await.unwrap_err();
        assert_eq!(refused.kind, FailureKind::NotWritten);
        sleep(Duration::from_millis(50)).await;
        // `read_request` returns at the end of the connection too: nobody has seen a body.
        assert!(requests.load(Ordering::SeqCst) <= 1);
        let (port, _) = spawn_server(ACCEPTED).await;
        let permit = WritePermit::new(async {
            sleep(Duration::from_millis(50)).await;
            true
        });
        assert_eq!(send_with_permit(&format!("http://127.0.0.1:{port}"), permit).await.unwrap(), "id");
    }

    /// A kernel that has no room for a connection drops its first packet, and the client repeats it after a second.
    #[tokio::test]
    async fn a_slow_connection_asks_for_the_permit_once_it_is_there() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(Ok(connection)) =
            tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await
        {
            waiting.push(connection);
        }
        let bodies = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&bodies);
        let serve = async move {
            sleep(Duration::from_millis(300)).await;
            while let Ok((mut connection, _)) = listener.accept().await {
                let seen = Arc::clone(&seen);
                tokio::spawn(async move {
                    let mut received = Vec::new();
                    drop(connection.read_to_end(&mut received).await);
                    seen.fetch_add(
                        usize::from(String::from_utf8_lossy(&received).contains("Thank you.")),
                        Ordering::SeqCst,
                    );
                });
            }
        };
        tokio::spawn(serve);
        let started = Instant::now();
        let asked_after = Arc::new(Mutex::new(None));
        let asked = Arc::clone(&asked_after);
        let permit = WritePermit::new(async move {
            let elapsed = started.elapsed();
            *asked.lock().unwrap() = Some(elapsed);
            elapsed < Duration::from_millis(500)
        });
        let refused = send_with_permit(&format!("http://{address}"), permit).await.unwrap_err();
        assert_eq!(refused.kind, FailureKind::NotWritten);
        assert!(asked_after.lock().unwrap().unwrap() >= Duration::from_millis(500), "{asked_after:?}");
        drop(waiting);
        sleep(Duration::from_millis(100)).await;
        assert_eq!(bodies.load(Ordering::SeqCst), 0);
    }
}
