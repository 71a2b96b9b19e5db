/** What ends a script early: said in one sentence. */

/** Something that a script cannot do here, or that this machine lacks; the message is meant for people. */
export class ScriptFailure extends Error {
  override name = 'ScriptFailure';
}
