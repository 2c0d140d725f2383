// A peer in JavaScript, with zeromq.js; see peer_pyzmq.py.
"use strict"

const zmq = require("zeromq")

const KINDS = {
  req: zmq.Request, rep: zmq.Reply,
  pub: zmq.Publisher, sub: zmq.Subscriber,
  push: zmq.Push, pull: zmq.Pull,
}
const SENDS = ["req", "pub", "push", "client", "scatter"]
const RECEIVES = ["req", "rep", "sub", "pull", "client", "server", "gather"]


// Types of sockets that are drafts; it warns that they are.
function draftKind(role) {
  process.removeAllListeners("warning")
  const draft = require("zeromq/draft")
  return {
    client: draft.Client, server: draft.Server,
    scatter: draft.Scatter, gather: draft.Gather,
  }[role]
}

function body(size) {
  return Buffer.from(Uint8Array.from({ length: size }, (_, i) => i + size))
}

function show(parts) {
  const sizes = parts.map(p => p.equals(body(p.length)) ? p.length : "wrong")
  console.log("got " + sizes.join(","))
}

function options(role, endpoint) {
  const env = process.env
  const chosen = { linger: 20000 }
  if (RECEIVES.includes(role)) chosen.receiveTimeout = 20000
  if (SENDS.includes(role)) chosen.sendTimeout = 20000
  if (endpoint.includes("[")) chosen.ipv6 = true
  if (env.CURVE_SERVER_KEY) {
    chosen.curveServerKey = env.CURVE_SERVER_KEY
    chosen.curvePublicKey = env.CURVE_PUBLIC_KEY
    chosen.curveSecretKey = env.CURVE_SECRET_KEY
  } else if (env.CURVE_SECRET_KEY) {
    chosen.curveServer = true
    chosen.curveSecretKey = env.CURVE_SECRET_KEY
  }
  return chosen
}

// Until somebody has heard of it, and says so.
async function synchronise(socket) {
  let told = false
  process.stdin.on("data", () => { told = true })
  while (!told) {
    await socket.send("sync")
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

async function main(role, how, endpoint, ...messages) {
  if (role === "version") {
    const version = require("zeromq/package.json").version
    return console.log(`zeromq.js ${version}, libzmq ${zmq.version}`)
  }
  const Kind = KINDS[role] || draftKind(role)
  const socket = new Kind(options(role, endpoint))
  if (role === "sub") socket.subscribe()
  if (how === "bind") {
    await socket.bind(endpoint)
    console.log("bound " + socket.lastEndpoint)
  } else {
    socket.connect(endpoint)
  }
  if (role === "pub") await synchronise(socket)
  let ready = false
  for (const message of messages) {
    if (SENDS.includes(role)) {
      const parts = message.split(",").map(size => body(+size))
      await socket.send(parts.length === 1 ? parts[0] : parts)
    }
    if (RECEIVES.includes(role)) {
      let parts = await socket.receive()
      while (parts.length === 1 && parts[0].toString() === "sync") {
        if (!ready) console.log("ready")
        ready = true
        parts = await socket.receive()
      }
      if (role === "server") { // the other one says whom to answer
        show(parts.slice(0, 1))
        await socket.send(...parts)
      } else {
        show(parts)
      }
      if (role === "rep") await socket.send(parts)
    }
  }
  socket.close()
  console.log("done")
  // Not before all has arrived: libzmq may be reading memory that ends with node.
  process.stdin.resume()
}

main(...process.argv.slice(2)).catch(error => {
  console.error(error)
  process.exit(1)
})
