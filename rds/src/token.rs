//! Signs tokens of AWS IAM and hands them out over a Unix socket: what runs beside a probe whose logins they prove.

use crate::stop::Stop;
use api::{
    exit::Exit,
    iam::{SOCKET, TokenAnswer, TokenRequest},
};
use signer::Signer;
use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    runtime::Builder,
    select,
    task::{LocalSet, spawn_local},
    time::{sleep, timeout},
};

mod signer;

/// A request is not longer, in bytes: a host name has 253, a role 63.
const MAX_REQUEST: u64 = 4096;
/// Whoever connects is to ask within so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// After a connection that could not be accepted, for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Where to listen, and as whom to sign.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The Unix socket to listen at, for its owner and group
    #[arg(long, value_name = "PATH", default_value = SOCKET)]
    socket: PathBuf,

    /// Region of the endpoints that tokens are for, such as us-east-1
    #[arg(long)]
    region: String,

    /// A folder with the files aws_access_key_id, aws_secret_access_key and, if need be, aws_session_token. Absent:
    /// what the environment says, IRSA and EKS Pod Identity included
    #[arg(long, value_name = "DIR")]
    credentials: Option<PathBuf>,
}

/// Hands out tokens until it is told to stop.
pub(crate) fn serve(args: Args) -> io::Result<Exit> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(listen(args))).map(|()| Exit::Complete)
}

async fn listen(Args { socket, region, credentials }: Args) -> io::Result<()> {
    let named = |error| io::Error::other(format!("{}: {error}", socket.display()));
    let mut stop = Stop::listen()?;
    let signer = Rc::new(Signer::new(region, credentials).await);
    let listener = bind(&socket).map_err(named)?;
    // Whoever looks at the log sees what is wrong before the first login does; and that one does not wait for STS.
    let first = Rc::clone(&signer);
    spawn_local(async move {
        if let Err(why) = first.credentials().await {
            eprintln!("{why}");
        }
    });
    loop {
        select! {
            () = stop.told() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(spawn_local(answer(stream, Rc::clone(&signer)))),
                Err(_) => sleep(PAUSE).await,
            },
        }
    }
    fs::remove_file(&socket).map_err(named)
}

/// Listens at `path`, for the owner and its group alone: containers of a pod run as the same user, or on OpenShift
/// as an arbitrary one in group 0. It is there only when it has its mode, and takes the place of one that was left.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let unready = path.with_extension("new");
    if unready.exists() {
        fs::remove_file(&unready)?;
    }
    let listener = UnixListener::bind(&unready)?;
    fs::set_permissions(&unready, Permissions::from_mode(0o660))?;
    fs::rename(&unready, path)?;
    Ok(listener)
}

/// Answers one request. Whoever goes away before has none.
async fn answer(mut stream: UnixStream, signer: Rc<Signer>) -> io::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    timeout(PATIENCE, BufReader::new(read.take(MAX_REQUEST)).read_line(&mut line)).await??;
    let token = match serde_json::from_str::<TokenRequest>(&line) {
        Ok(request) => signer.token(&request).await,
        Err(error) => Err(format!("the request can't be read: {error}")),
    };
    let answer = token.map_or_else(TokenAnswer::Error, TokenAnswer::Token);
    write.write_all(&serde_json::to_vec(&answer)?).await
}
