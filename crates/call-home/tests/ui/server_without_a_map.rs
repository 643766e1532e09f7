//! A server on the default map, where no map is enabled.

use call_home::{CallHomeOptions, CallHomeServer};

fn main() {
    let _ = CallHomeServer::bind(CallHomeOptions::default());
}
