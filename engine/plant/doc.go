// Package plant puts known bugs into the engine, so that the simulator can be seen to
// find them (`make simulate-teeth`). A bug is one expression at the place where somebody
// could have made it:
//
//	case e.state == stEnded && !plant.Bug("cancel-of-the-ended"):
//
// and one line in engine's list of them (simPlants), which says what check is to find it.
// Without the build tag teeth no bug exists: Bug is constant, and the compiler leaves
// neither the branch nor the name behind.
package plant
