// Durable Object with the hibernatable WebSocket API.
export class ChatRoom {
	constructor(state) {
		this.state = state;
		this.messages = [];
	}
	async fetch() {
		const [client, server] = Object.values(new WebSocketPair());
		this.state.acceptWebSocket(server);
		server.send('{"t":"init"}');
		return new Response(null, { status: 101, webSocket: client });
	}
	webSocketMessage(ws, data) {
		const c = JSON.parse(data);
		const m = { id: crypto.randomUUID(), userId: c.args[0], text: c.args[1], timestamp: Date.now() };
		this.messages.push(m);
		if (this.messages.length > 100) this.messages.shift();
		const ev = JSON.stringify({ t: "event", name: "message", args: [m] });
		for (const x of this.state.getWebSockets()) x.send(ev);
		ws.send(JSON.stringify({ t: "reply", id: c.id, ok: m }));
	}
	webSocketClose() {}
	webSocketError() {}
}

export default {
	fetch(req, env) {
		const name = new URL(req.url).searchParams.get("room");
		return env.ROOMS.get(env.ROOMS.idFromName(name)).fetch(req);
	},
};
