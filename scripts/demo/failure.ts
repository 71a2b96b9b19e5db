/** What ends the demo early: said in one sentence. */

/** Something that the demo cannot do here; the message is meant for people. */
export class DemoFailure extends Error {
  override name = 'DemoFailure';
}
