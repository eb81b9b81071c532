//! The key words of each intent, with their weights.

use super::intent::Intent;

/// The keys of an intent as `(key, weight)`. A key that settles the matter by itself weighs 4 or
/// more; a key of several words matches where they stand in a row.
pub(super) fn keys(row: &'static str) -> impl Iterator<Item = (&'static str, u32)> {
    row.split(',').filter_map(|entry| {
        let (key, weight) = entry.trim().rsplit_once(' ')?;
        Some((key, weight.parse().ok()?))
    })
}

/// In order of precedence: of equal scores the first wins.
pub(super) const TABLE: &[(Intent, &str)] = &[
    (
        Intent::Beyond,
        "translate 6, poem 8, story 8, joke 8, recipe 8, weather 8, haiku 8, essay 8, news 6, \
         calculate 6, summarize 6, summarise 6, python 6, write me 6, write a 6, explain 4, \
         compose 6, capital of 6",
    ),
    (
        Intent::Identity,
        "who are you 6, what are you 4, your name 6, who is this 5, are you human 6, \
         are you an ai 6, are you a bot 6, are you real 6, introduce yourself 6",
    ),
    (
        Intent::HowAreYou,
        "how are you 6, how do you do 6, how is it going 6, hows it going 6, whats up 5, \
         how are things 6",
    ),
    (
        Intent::Help,
        "help 4, what can you do 8, can i ask 6, what do you know 6, command 4, capability 4, \
         capabilities 4, abilities 4, how do i use you 6, what else 3, can you answer 5",
    ),
    (
        Intent::Status,
        "status 4, overview 4, summary 3, state of 3, report 3, state 2",
    ),
    (
        Intent::Health,
        "health 5, healthy 5, problem 3, wrong 3, broken 3, trouble 3, issue 3, error 3, \
         warning 3, alright 3, all right 3, ok 2, okay 2, fine 2, working 2, everything 1",
    ),
    (
        Intent::Connected,
        "connected 3, connection 3, who 2, online 2, client 3, operator 4, peer 3, presence 4, \
         anyone 2, anybody 2, user 3, here 1, there 1, logged in 3",
    ),
    (
        Intent::Nodes,
        "node 4, machine 3, phone 2, laptop 2, raspberry 3, connected 1, online 2",
    ),
    (
        Intent::Devices,
        "device 4, pair 4, paired 4, unpair 4, approve 4, approval 3, pending 3, reject 3, \
         revoke 4, request 2, trust 2, rotate 3",
    ),
    (
        Intent::ThisSession,
        "this session 6, current session 6, my session 6, this conversation 6, this chat 6, \
         how many tokens 6, token usage 6, tokens used 6, usage 3, thinking 3, think 2, \
         verbose 4, verbosity 4, level 1",
    ),
    (
        Intent::Sessions,
        "session 4, conversation 4, chat 3, history 3, transcript 3",
    ),
    (
        Intent::Runs,
        "busy 4, queue 4, queued 4, are you doing 5, working on 5, active run 5, run 3, \
         abort 4, cancel 4, stop the run 5, worker 3",
    ),
    (
        Intent::Uptime,
        "uptime 5, how long 3, running 2, been up 4, up since 4, started 3, since 1, start 1",
    ),
    (
        Intent::Version,
        "version 5, release 3, build 3, up to date 6, upgrade 3, update 3, newest 2",
    ),
    (
        Intent::Clock,
        "time 3, what time 3, date 4, clock 4, today 4, day 3, hour 3, weekday 4, year 3, \
         month 3, timezone 4, time zone 4",
    ),
    (
        Intent::Memory,
        "memory 4, ram 4, rss 4, footprint 4, resource 3, mebibyte 3",
    ),
    (
        Intent::Channels,
        "channel 4, telegram 5, whatsapp 5, discord 5, slack 5, imessage 5, messaging 3, \
         signal 3, messenger 3",
    ),
    (Intent::Models, "model 4, llm 4, provider 4"),
    (
        Intent::ConfigureModel,
        "model 3, provider 3, llm 3, language model 2, api key 4, apikey 4, configure 2, \
         set up 2, setup 2, set 1, change 2, switch 2, add 2, connect 2, real 2, use 1, \
         how do i 1, how to 1, how can i 1, openai 4, anthropic 4, claude 4, gpt 4, chatgpt 4, \
         ollama 4, llama 4, smarter 3",
    ),
    (
        Intent::Remote,
        "remote 4, remotely 4, ssh 4, tunnel 4, tailscale 4, tailnet 4, outside 3, afar 4, \
         away 2, elsewhere 4, from another 3, from my 3, internet 3, vpn 4, expose 4, reach 3, \
         access 3, connect 1, network 2, lan 3",
    ),
    (
        Intent::Address,
        "address 4, url 4, port 4, listen 4, bind 4, ip 3, where are you 4, websocket 3, \
         dashboard 4, web page 4, host 2, hostname 4",
    ),
    (
        Intent::Auth,
        "token 4, password 4, log in 4, login 4, credential 4, secret 4, auth 4, \
         authenticate 4, authentication 4, authorize 3",
    ),
    (Intent::Backup, "backup 5, back up 5, restore 5"),
    (
        Intent::Control,
        "restart 5, shutdown 5, shut down 5, reload 4, turn off 4, quit 3, stop the gateway 6, \
         stop you 5, reboot 4",
    ),
    (
        Intent::Config,
        "config 4, configuration 4, setting 3, state directory 5, directory 3, path 2, \
         stored 3, where 1, file 2, configure 3, data 1",
    ),
    (Intent::Logs, "log 4, logging 4"),
    (
        Intent::Thanks,
        "thank 3, thanks 3, thx 3, cheers 3, awesome 3, perfect 3, well done 3, great 3, \
         nice 3, good job 4",
    ),
    (
        Intent::Bye,
        "bye 3, goodbye 4, see you 4, good night 5, later 1",
    ),
    (
        Intent::Hello,
        "hello 3, hi 3, hey 3, greetings 3, good morning 4, good evening 4, good afternoon 4, \
         howdy 3, hola 3, moin 3, ping 3, test 3",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_a_weight_and_stands_once_in_its_row() {
        for (intent, row) in TABLE {
            let all: Vec<_> = keys(row).collect();
            assert_eq!(all.len(), row.split(',').count(), "{intent:?}");
            for (at, (key, weight)) in all.iter().enumerate() {
                assert!(
                    *weight > 0 && key.chars().all(|c| c.is_lowercase() || c == ' '),
                    "{intent:?} {key}"
                );
                assert!(
                    !all[..at].iter().any(|(other, _)| other == key),
                    "{intent:?} {key} twice"
                );
            }
        }
    }
}
