/**
 * How long anything is waited for, in milliseconds: the end of a wait that will never end
 * well. Nothing takes so long on a machine that has ten times as much to do as it can.
 */
export const WAIT = 120_000;

/** How long a whole scenario may take, in milliseconds. */
export const SCENARIO = 600_000;
