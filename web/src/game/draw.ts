// Draws the stage: dark wood in every theme of the page.

import { hueOf } from "../ui/Avatar";
import { HEIGHT, RADIUS, WIDTH, type World } from "./world";

const PLANK = 60;

export function draw(context: CanvasRenderingContext2D, world: World): void {
  const { canvas } = context;
  context.setTransform(canvas.width / WIDTH, 0, 0, canvas.height / HEIGHT, 0, 0);
  drawFloor(context);
  if (world.spotlight) drawSpotlight(context, world.spotlight.x, world.spotlight.y);
  const me = world.bodies.get(world.me);
  if (me) drawLight(context, me.shown.x, me.shown.y);
  // On a small stage, players and names are drawn larger.
  const zoom = Math.max(1, WIDTH / 2 / canvas.clientWidth);
  for (const [id, { shown }] of world.bodies) drawPlayer(context, id, shown.x, shown.y, id === world.me, zoom);
}

function drawFloor(context: CanvasRenderingContext2D): void {
  context.fillStyle = "#2a1c22";
  context.fillRect(0, 0, WIDTH, HEIGHT);
  context.fillStyle = "#00000024";
  for (let y = 0; y < HEIGHT; y += PLANK) {
    context.fillRect(0, y, WIDTH, 2);
    for (let x = (y / PLANK) % 2 ? 125 : 250; x < WIDTH; x += 250) context.fillRect(x, y, 2, PLANK);
  }
}

/** What players are to reach: light from above, with a bright rim. */
function drawSpotlight(context: CanvasRenderingContext2D, x: number, y: number): void {
  const beam = context.createLinearGradient(x, 0, x, y);
  beam.addColorStop(0, "#ffe9b000");
  beam.addColorStop(1, "#ffe9b055");
  context.fillStyle = beam;
  context.beginPath();
  context.moveTo(x - 8, 0);
  context.lineTo(x + 8, 0);
  context.lineTo(x + 46, y);
  context.lineTo(x - 46, y);
  context.fill();

  context.fillStyle = "#d8c193";
  context.strokeStyle = "#f0c25a";
  context.lineWidth = 4;
  context.beginPath();
  context.ellipse(x, y, 46, 30, 0, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
}

/** A light on this tab's player. */
function drawLight(context: CanvasRenderingContext2D, x: number, y: number): void {
  const light = context.createRadialGradient(x, y, 10, x, y, 190);
  light.addColorStop(0, "#ffe9b060");
  light.addColorStop(0.6, "#ffe0a018");
  light.addColorStop(1, "#ffe0a000");
  context.fillStyle = light;
  context.fillRect(x - 190, y - 190, 380, 380);
}

function drawPlayer(
  context: CanvasRenderingContext2D,
  id: string,
  x: number,
  y: number,
  mine: boolean,
  zoom: number,
): void {
  const radius = RADIUS * zoom;
  context.fillStyle = "#00000050";
  context.beginPath();
  context.ellipse(x, y + radius * 0.8, radius, radius * 0.45, 0, 0, 2 * Math.PI);
  context.fill();

  context.fillStyle = `oklch(0.78 0.13 ${hueOf(id)})`;
  context.strokeStyle = mine ? "#f0c25a" : "#ffffff90";
  context.lineWidth = mine ? 4 : 2;
  context.beginPath();
  context.arc(x, y, radius - 2, 0, 2 * Math.PI);
  context.fill();
  context.stroke();

  const size = Math.max(17, (12 * WIDTH) / context.canvas.clientWidth);
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "top";
  context.lineWidth = 4;
  context.strokeStyle = "#1b1116";
  context.fillStyle = "#fff";
  // Keep a name at the edge on the stage.
  const half = context.measureText(id).width / 2 + 6;
  const left = Math.min(Math.max(x, half), WIDTH - half);
  const top = y > HEIGHT - radius - size - 12 ? y - radius - size - 6 : y + radius + 6;
  context.strokeText(id, left, top);
  context.fillText(id, left, top);
}
