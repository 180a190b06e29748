//! A receiver of webhooks that takes everything.

use axum::Router;
use axum::extract::State;
use std::sync::{Arc, Mutex};

/// A server on loopback.
pub struct Receiver {
    pub url: String,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    pub async fn start() -> Receiver {
        let bodies: Arc<Mutex<Vec<String>>> = Arc::default();
        let take = |State(bodies): State<Arc<Mutex<Vec<String>>>>, body: String| async move {
            bodies.lock().unwrap().push(body);
        };
        let router = Router::new().fallback(take).with_state(Arc::clone(&bodies));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Receiver { url, bodies }
    }

    /// What came, in order.
    pub fn bodies(&self) -> Vec<String> {
        self.bodies.lock().unwrap().clone()
    }
}
