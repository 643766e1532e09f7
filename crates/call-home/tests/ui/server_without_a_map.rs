//! A server on the default map, where no map is enabled.

use call_home::{CallHomeOptions, CallHomeServer};

/// A field, and calls of methods, as in any application: no error but the one that says what to do.
struct Gateway {
    workers: CallHomeServer,
}

async fn start() {
    let gateway = Gateway {
        workers: CallHomeServer::bind(CallHomeOptions::default()).await.unwrap(),
    };
    let _ = gateway.workers.address();
}

fn main() {
    let _ = start();
}
