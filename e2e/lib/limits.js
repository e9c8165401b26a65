/**
 * The timeout of every wait, in milliseconds. Nothing that works takes so long, even on a
 * machine with ten times the load that it can handle.
 */
export const WAIT = 120_000;

/** How long a whole scenario may take, in milliseconds. */
export const SCENARIO = 600_000;
