import { useEffect, useState } from "react";

/** The seconds that are left of a game. A timer is not read out at each change. */
export function Clock({ endsAt }: { endsAt: number }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  // Clocks may differ.
  const seconds = Math.min(60, Math.max(0, Math.ceil((endsAt - now) / 1000)));
  return (
    <span role="timer" className="clock" data-hurry={seconds <= 10}>
      {`${seconds} s`}
    </span>
  );
}
