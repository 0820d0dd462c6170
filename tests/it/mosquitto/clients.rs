//! Who else is on the broker: with a client that is not ours (rumqttc's), and without TLS.

use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, Publish};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::broker::Broker;
use crate::support::{THING, World, within};

/// A broker that keeps its session has what comes while it is away for it.
fn client(client_id: &str, port: u16) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(client_id, "127.0.0.1", port);
    options.set_clean_start(false);
    options.set_session_expiry_interval(Some(3600));
    AsyncClient::new(options, 100)
}

/// Hands on what is published to these filters, over each connection anew, for ever. `subscribed`
/// counts how often it has subscribed.
async fn listen(
    (client, mut events): (AsyncClient, EventLoop),
    filters: Vec<String>,
    subscribed: watch::Sender<usize>,
    mut hand_on: impl FnMut(Publish),
) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                for filter in &filters {
                    client.try_subscribe(filter, QoS::AtLeastOnce).unwrap();
                }
            }
            Ok(Event::Incoming(Packet::SubAck(_))) => subscribed.send_modify(|count| *count += 1),
            Ok(Event::Incoming(Packet::Publish(publish))) => hand_on(publish),
            Ok(_) => {}
            Err(_) => sleep(Duration::from_millis(100)).await, // the broker is down
        }
    }
}

fn topic(publish: &Publish) -> String {
    String::from_utf8(publish.topic.to_vec()).unwrap()
}

/// The Jobs service behind the broker. What a device asks there is asked of `local_iot_core`, and what
/// that has to say is published there.
pub struct JobsService {
    _tasks: JoinSet<()>,
}

impl JobsService {
    pub async fn start(world: &World, broker: &Broker) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (to_core, from_core) = client("test-service", port);
        let (to_broker, from_broker) = client("service", broker.plain_port);
        let (is_subscribed, mut subscribed) = watch::channel(0);
        let (is_ready, mut ready) = watch::channel(0);
        let mut tasks = JoinSet::new();

        let jobs = format!("$aws/things/{THING}/jobs");
        let events = vec![format!("{jobs}/notify-next")]; // replies come without a subscription
        let publisher = to_broker.clone();
        tasks.spawn(listen(
            (to_core.clone(), from_core),
            events,
            is_ready,
            move |sent| {
                publisher
                    .try_publish(topic(&sent), QoS::AtLeastOnce, false, sent.payload)
                    .unwrap();
            },
        ));
        let (stream, _) = within(listener.accept()).await.unwrap();
        tasks.spawn(world.core.serve(stream));
        within(ready.wait_for(|count| *count > 0)).await.unwrap();

        let requests = ["get", "start-next", "+/get", "+/update"];
        let requests = requests.map(|request| format!("{jobs}/{request}")).to_vec();
        let broker = (to_broker, from_broker);
        tasks.spawn(listen(broker, requests, is_subscribed, move |asked| {
            to_core
                .try_publish(topic(&asked), QoS::AtLeastOnce, false, asked.payload)
                .unwrap();
        }));
        let all = subscribed.wait_for(|count| *count == 4); // one SUBSCRIBE for each filter
        within(all).await.unwrap();
        Self { _tasks: tasks }
    }
}

/// Somebody who watches topics.
pub struct Watcher {
    client: AsyncClient,
    messages: mpsc::UnboundedReceiver<Publish>,
    _task: JoinSet<()>,
}

impl Watcher {
    pub async fn start(broker: &Broker, filter: &str) -> Self {
        let connected = client(&format!("watcher of {filter}"), broker.plain_port);
        let (is_subscribed, mut subscribed) = watch::channel(0);
        let (sender, messages) = mpsc::unbounded_channel();
        let client = connected.0.clone();
        let mut task = JoinSet::new();
        task.spawn(listen(
            connected,
            vec![filter.to_owned()],
            is_subscribed,
            move |publish| {
                sender.send(publish).unwrap_or_default();
            },
        ));
        within(subscribed.wait_for(|count| *count > 0))
            .await
            .unwrap();
        Self {
            client,
            messages,
            _task: task,
        }
    }

    pub async fn publish(&self, topic: &str, payload: &str) {
        let sent = self
            .client
            .publish(topic, QoS::AtLeastOnce, false, payload.to_owned());
        within(sent).await.unwrap();
    }

    /// The next message: its payload, and whether it was retained.
    pub async fn next(&mut self) -> (String, bool) {
        let message = within(self.messages.recv()).await.unwrap();
        let text = String::from_utf8(message.payload.to_vec()).unwrap();
        (text, message.retain)
    }
}
