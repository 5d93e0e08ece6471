// Broadcasts text frames to every socket, as fast as they are taken: what the fan-out of the profile server is compared
// with. Usage: node server.mjs BYTES. `GET /start` and `GET /stop` steer it.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const bytes = Number(process.argv[2]);
// So many broadcasts may be on their way: enough to keep every socket busy, few enough to need no memory.
const WINDOW = 8;

let revision = 1;
let running = false;
let underway = 0;
// Whether the next turn is asked for: once, since turns that multiply would leave no time for anything else.
let asked = false;

const server = createServer((request, response) => {
  running = request.url === "/start";
  response.end("ok");
  broadcast();
});
// Compression is off, as it is there.
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
sockets.on("connection", (socket) => {
  socket.send(`{"type":"profile","user_id":"usr_peer","revision":${revision},"profile":{}}`);
});

// Built once for all, like a patch of a mask class.
function frame() {
  const head = `{"type":"patch","user_id":"usr_peer","base_revision":${revision},"revision":${++revision},"fill":"`;
  return Buffer.from(head + "x".repeat(Math.max(0, bytes - head.length - 2)) + '"}');
}

function broadcast() {
  while (running && underway < WINDOW && sockets.clients.size > 0) {
    const data = frame();
    let waiting = sockets.clients.size;
    underway += 1;
    const sent = () => {
      waiting -= 1;
      if (waiting === 0) {
        underway -= 1;
        if (!asked) {
          asked = true;
          setImmediate(() => {
            asked = false;
            broadcast();
          });
        }
      }
    };
    for (const socket of sockets.clients) {
      socket.send(data, { binary: false }, sent);
    }
  }
}

server.listen(0, "127.0.0.1", () => {
  console.log(JSON.stringify({ event: "ready", listen: `127.0.0.1:${server.address().port}` }));
});
