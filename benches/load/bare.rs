//! The bare server: an actix-web handler that reads the body and answers 202.

use std::net::TcpListener;

use actix_web::web::{self, Bytes};
use actix_web::{App, HttpResponse, HttpServer};

/// The largest body it reads.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Serves until it is killed, on a free port, which it prints. It has as many workers as the daemon has by default.
///
/// # Errors
/// When it cannot listen.
pub fn serve() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let app = || {
        App::new()
            .app_data(web::PayloadConfig::new(BODY_BYTES_MAX))
            .default_service(web::to(|_body: Bytes| async { HttpResponse::Accepted().finish() }))
    };
    let server = HttpServer::new(app).workers(workers).listen(listener)?;
    actix_rt::System::new().block_on(server.run())
}
