//! Names are resolved once in a run: every lane then knows the same addresses, and an answer
//! that changes in between can't pass for an effect of the path.

use std::{io, net::SocketAddr, time::Duration};
use tokio::{net, time};

/// A new pod's network may come a moment after the pod.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// All addresses of a host, in the resolver's order.
///
/// # Errors
/// The resolver's, after three attempts a second apart.
pub async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut attempt = 1;
    loop {
        match net::lookup_host((host, port)).await {
            Ok(found) => {
                let mut addresses: Vec<SocketAddr> = Vec::new();
                for address in found {
                    if !addresses.contains(&address) {
                        addresses.push(address);
                    }
                }
                return Ok(addresses);
            }
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(_) => time::sleep(PAUSE).await,
        }
        attempt += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_need_no_resolver() {
        let found = resolve("127.0.0.1", 5432).await.unwrap();
        assert_eq!(found, ["127.0.0.1:5432".parse().unwrap()]);
        let found = resolve("::1", 5432).await.unwrap();
        assert_eq!(found, ["[::1]:5432".parse().unwrap()]);
    }
}
