import ChaosHarness
import Foundation

exit(await ChaosProgram.main(Array(CommandLine.arguments.dropFirst())))
