use super::*;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

/// A server that answers each connection with the next of these.
fn server(answers: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for answer in answers {
            let (socket, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(&socket).lines();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|it| !it.is_empty()))
            {}
            // Whoever reads a part only hangs up before all is written.
            let _ = (&socket).write_all(answer.as_bytes());
        }
    });
    url
}

fn answer(head: &str, body: &str) -> String {
    format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n{body}")
}

fn read(url: &str) -> Result<String, String> {
    let this_machine = |ip: IpAddr| ip == IpAddr::from([127, 0, 0, 1]);
    fetch_from(url, &CancelToken::new(), this_machine)
}

#[test]
fn addresses_that_are_not_the_public_webs_are_known() {
    for ip in [
        "127.0.0.1",
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "192.0.0.8",
        "::",
        "::1",
        "fe80::1",
        "fc00::1",
        "fd12::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:1::",
        "2001:db8::1",
        "::7f00:1",
        "fec0::1",
    ] {
        assert!(!is_public(ip.parse().unwrap()), "{ip}");
    }
    for ip in [
        "1.1.1.1",
        "93.184.215.14",
        "2606:4700::1111",
        "64:ff9b::101:101",
    ] {
        assert!(is_public(ip.parse().unwrap()), "{ip}");
    }
}

#[test]
fn this_machine_and_its_neighbours_are_not_read_whatever_they_are_called() {
    let url = server(vec![answer("200 OK\r\nContent-Type: text/plain", "secret")]);
    let port = url.rsplit(':').next().unwrap();
    for host in [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
    ] {
        let fault = fetch(&format!("http://{host}:{port}/"), &CancelToken::new()).unwrap_err();
        assert!(!fault.contains("secret"), "{host}: {fault}");
    }
    for url in [
        "file:///etc/passwd",
        "ftp://1.1.1.1/",
        "",
        "x",
        "http://a@1.1.1.1/",
        "http:///x",
    ] {
        assert!(uri(url).is_err(), "{url:?}");
    }
}

#[test]
fn a_redirect_is_checked_like_the_address_itself() {
    let inner = server(vec![answer("200 OK\r\nContent-Type: text/plain", "secret")]);
    let inner = inner.replace("127.0.0.1", "127.0.0.2");
    let url = server(vec![answer(
        &format!("302 Found\r\nLocation: {inner}/"),
        "",
    )]);
    let fault = read(&url).unwrap_err();
    assert!(fault.contains("private network"), "{fault}");
    let url = server(vec![
        answer("301 Moved\r\nLocation: b?c", ""),
        answer("200 OK\r\nContent-Type: text/plain", " there "),
    ]);
    let text = read(&format!("{url}/x/a")).unwrap();
    assert_eq!(text, format!("{url}/x/b?c\n\nthere"));
    let round = vec![answer("302 Found\r\nLocation: /", ""); WEB_REDIRECTS_MAX + 1];
    assert!(read(&server(round)).unwrap_err().contains("redirects"));
}

#[test]
fn a_page_becomes_text_and_its_length_is_bounded() {
    let html = "<html><head><title>T</title><script>no()</script></head><body><h1>One</h1>\
                <p>a &amp; b</p></body></html>";
    let url = server(vec![answer(
        "200 OK\r\nContent-Type: text/html; charset=utf-8",
        html,
    )]);
    assert_eq!(read(&url).unwrap(), format!("{url}\n\nT\n\nOne\n\na & b"));
    let url = server(vec![answer(
        "404 Not Found\r\nContent-Type: text/plain",
        "gone",
    )]);
    assert_eq!(read(&url).unwrap(), format!("{url} answered 404\n\ngone"));
    let url = server(vec![answer("200 OK\r\nContent-Type: image/png", "x")]);
    assert!(read(&url).unwrap_err().contains("image/png"));
    let long = "x".repeat(WEB_BYTES_MAX as usize + 100_000);
    let url = server(vec![answer("200 OK\r\nContent-Type: text/plain", &long)]);
    assert!(read(&url).unwrap().len() < WEB_BYTES_MAX as usize + 100);
}

#[test]
fn a_cancelled_page_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let cancel = CancelToken::new();
    let other = cancel.clone();
    let server = std::thread::spawn(move || {
        let accepted = listener.accept().unwrap();
        other.cancel();
        accepted
    });
    let began = Instant::now();
    assert!(fetch_from(&url, &cancel, |_| true).is_err());
    assert!(began.elapsed() < Duration::from_millis(WEB_MS));
    drop(server.join());
}
